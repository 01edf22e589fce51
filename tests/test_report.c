/* The report of a run: numbers, axes, curves, reading of metrics.jsonl, and the
 * page, for good, empty, damaged and long runs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "report/chart_axis.h"
#include "report/chart_curve.h"
#include "report/quantity.h"
#include "report/report.h"
#include "report/run_config.h"
#include "report/run_metrics.h"

static char folder[256];

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static char *read_text(const char *name)
{
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 21);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 21) - 1, file) < (1 << 21) - 1);
    fclose(file);
    return text;
}

static void clear_folder(void)
{
    DIR *open = opendir(folder);
    assert_non_null(open);
    for (struct dirent *entry; (entry = readdir(open));)
        if (entry->d_name[0] != '.') assert_int_equal(remove(path_of(entry->d_name)), 0);
    closedir(open);
}

static int files_in_folder(void)
{
    DIR *open = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(open));) count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

static int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_report.XXXXXX", base ? base : "/tmp");
    rw_clear_message();
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    clear_folder();
    return rmdir(folder);
}

/* --- numbers --------------------------------------------------------------------- */

static void check_text(void (*write)(double, char *, size_t), double value, const char *expected)
{
    char text[RW_QUANTITY_SIZE];
    write(value, text, sizeof text);
    assert_string_equal(text, expected);
}

static void numbers_read_well(void **state)
{
    (void)state;
    char text[RW_QUANTITY_SIZE];
    rw_quantity_grouped(1234567.84, 1, text, sizeof text);
    assert_string_equal(text, "1,234,567.8");
    rw_quantity_grouped(-999, 0, text, sizeof text);
    assert_string_equal(text, "-999");
    rw_quantity_grouped(-0.001, 1, text, sizeof text);
    assert_string_equal(text, "0.0");
    check_text(rw_quantity_short, 1234567, "1.23M");
    check_text(rw_quantity_short, 999.7, "1.00k");
    check_text(rw_quantity_short, 12, "12");
    check_text(rw_quantity_short, 0, "0");
    rw_quantity_exponent(2.51e-4, 2, text, sizeof text);
    assert_string_equal(text, "2.5e-4");
    rw_quantity_exponent(9.99e-6, 2, text, sizeof text);
    assert_string_equal(text, "1e-5");
    check_text(rw_quantity_loss, 1.23456, "1.2346");
    check_text(rw_quantity_time, 200, "3 min 20 s");
    check_text(rw_quantity_time, 3599.9, "1 h 0 min");
    check_text(rw_quantity_time, 86400 * 2.5, "2 d 12 h");
}

static void numbers_always_fit(void **state)
{
    (void)state;
    const double values[] = {NAN, INFINITY, -INFINITY, 0, 1e-320, 1e308, -1e308, 1, -1e15};
    void (*const writers[])(double, char *, size_t) = {rw_quantity_short, rw_quantity_loss,
                                                       rw_quantity_time};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        char text[RW_QUANTITY_SIZE];
        for (size_t w = 0; w < sizeof writers / sizeof *writers; w++) {
            writers[w](values[v], text, sizeof text);
            assert_in_range(strlen(text), 1, RW_QUANTITY_SIZE - 2);
            assert_null(strstr(text, "nan"));
            assert_null(strstr(text, "inf"));
        }
    }
}

/* --- axes ------------------------------------------------------------------------ */

static void check_axis(const rw_axis *axis, int wanted)
{
    double ticks[32];
    char labels[32][RW_QUANTITY_SIZE];
    int count = rw_axis_ticks(axis, wanted, ticks, 32);
    assert_in_range(count, 2, 3 * wanted + 3);
    for (int i = 0; i < count; i++) {
        double slack = 1e-6 * (axis->high - axis->low);
        assert_true(ticks[i] >= axis->low - slack && ticks[i] <= axis->high + slack);
        rw_axis_label(axis, ticks, count, i, labels[i], sizeof labels[i]);
        if (!i) continue;
        assert_true(ticks[i] > ticks[i - 1]);
        assert_true(rw_axis_place(axis, ticks[i]) > rw_axis_place(axis, ticks[i - 1]));
        assert_string_not_equal(labels[i], labels[i - 1]);
    }
}

static void axes_have_distinct_round_ticks(void **state)
{
    (void)state;
    rw_random stream = rw_random_stream(1, RW_RANDOM_TEST, 0);
    for (uint64_t i = 0; i < 3000; i++) {
        double centre = rw_random_normal(stream, 3 * i);
        double width = pow(10, 14 * rw_random_uniform(stream, 3 * i + 1) - 7);
        int wanted = 3 + (int)rw_random_below(stream, 3 * i + 2, 9);
        rw_axis axis =
            rw_axis_make(false, centre * width, centre * width + width, i % 2 ? wanted : 0, 0, 100);
        check_axis(&axis, wanted);
        double low = exp(3 * centre);
        axis = rw_axis_make(true, low, low * (10 + 1000 * width), i % 2 ? wanted : 0, 0, 100);
        assert_true(axis.log);
        check_axis(&axis, wanted);
    }
}

static void axis_covers_and_clamps(void **state)
{
    (void)state;
    rw_axis axis = rw_axis_make(false, 1.23, 5.87, 5, 200, 10);
    assert_true(axis.low <= 1.23 && axis.high >= 5.87);
    assert_true(rw_axis_place(&axis, -100) == 200);
    assert_true(rw_axis_place(&axis, 100) == 10);
    assert_true(isnan(rw_axis_place(&axis, INFINITY)));
    axis = rw_axis_make(true, 1, 1e4, 5, 0, 4);
    assert_true(isnan(rw_axis_place(&axis, 0)));
    assert_true(fabs(rw_axis_place(&axis, 100) - 2) < 1e-12);
    axis = rw_axis_make(true, -1, 1e4, 5, 0, 4); /* not positive: linear */
    assert_false(axis.log);
    axis = rw_axis_make(false, 7, 7, 5, 0, 1);
    assert_true(axis.low < 7 && axis.high > 7);
}

static void check_label(const rw_axis *axis, const char *expected)
{
    double ticks[32];
    char label[RW_QUANTITY_SIZE], all[512] = "";
    int count = rw_axis_ticks(axis, 5, ticks, 32);
    for (int i = 0; i < count; i++) {
        rw_axis_label(axis, ticks, count, i, label, sizeof label);
        strcat(strcat(all, i ? " " : ""), label);
    }
    assert_string_equal(all, expected);
}

static void labels_are_short(void **state)
{
    (void)state;
    rw_axis axis = rw_axis_make(false, 0, 9000, 5, 0, 1);
    check_label(&axis, "0 2,000 4,000 6,000 8,000 10,000");
    axis = rw_axis_make(false, 0, 190e3, 5, 0, 1);
    check_label(&axis, "0 50k 100k 150k 200k");
    axis = rw_axis_make(false, 0, 2.9e-4, 3, 0, 1);
    check_label(&axis, "0 1e-4 2e-4 3e-4");
    axis = rw_axis_make(true, 1, 1e5, 5, 0, 1);
    check_label(&axis, "1 10 100 1k 10k 100k");
    axis = rw_axis_make(false, 1, 3, 0, 0, 1);
    axis.whole = true;
    check_label(&axis, "1 2 3");
}

/* --- curves ---------------------------------------------------------------------- */

enum { COLUMNS = 200 };

static void columns_keep_the_extremes(void **state)
{
    (void)state;
    enum { N = 10000 };
    static double x[N], y[N];
    rw_random stream = rw_random_stream(2, RW_RANDOM_TEST, 0);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i % 97 ? rw_random_uniform(stream, (uint64_t)i) : NAN;
    }
    rw_axis across = rw_axis_make(false, 0, N - 1, 0, 0, COLUMNS);
    rw_axis up = rw_axis_make(false, 0, 1, 0, 0, 1);
    rw_column columns[COLUMNS];
    rw_curve_collect(&(rw_points){x, y, N, 1}, &across, &up, columns, COLUMNS);
    size_t total = 0;
    for (int c = 0; c < COLUMNS; c++) {
        const rw_column *column = &columns[c];
        double lowest = INFINITY, highest = -INFINITY;
        for (int i = 0; i < N; i++) {
            int index = (int)(rw_axis_place(&across, x[i]));
            if ((index < COLUMNS ? index : COLUMNS - 1) != c || isnan(y[i])) continue;
            lowest = fmin(lowest, y[i]);
            highest = fmax(highest, y[i]);
            total++;
        }
        assert_true(column->lowest == lowest && column->highest == highest);
        assert_true(column->first >= lowest && column->last <= highest);
    }
    assert_int_equal(total, N - (N + 96) / 97);
}

static void smoothing_keeps_a_line(void **state)
{
    (void)state;
    rw_column columns[COLUMNS] = {0};
    for (int c = 0; c < COLUMNS; c++) {
        columns[c].count = c % 7 == 3 ? 0 : 1 + (size_t)(c % 5);
        columns[c].sum = (double)columns[c].count * (3 * c - 40);
    }
    double smooth[COLUMNS];
    rw_curve_smooth(columns, COLUMNS, 8, smooth);
    for (int c = 0; c < COLUMNS; c++) {
        if (columns[c].count)
            assert_true(fabs(smooth[c] - (3 * c - 40)) < 1e-9 * 1000);
        else
            assert_true(isnan(smooth[c]));
    }
}

static void smoothing_of_one_point_is_the_point(void **state)
{
    (void)state;
    rw_column columns[COLUMNS] = {0};
    columns[17] = (rw_column){.count = 2, .sum = 8};
    double smooth[COLUMNS];
    rw_curve_smooth(columns, COLUMNS, 400, smooth);
    assert_true(smooth[17] == 4);
}

/* --- metrics.jsonl --------------------------------------------------------------- */

static void metrics_survive_damage(void **state)
{
    (void)state;
    write_text("metrics.jsonl",
               "{\"event\": \"start\", \"parameters\": 12, \"ranks\": 2, \"host\": \"h\"}\n"
               "{\"step\": 1, \"loss\": 2.5, \"step_s\": 2, \"comm_s\": 0.5}\n"
               "{\"step\": 2, \"lo\n"
               "not json at all\n"
               "[1, 2]\n"
               "\n"
               "{\"step\": -2, \"loss\": 1}\n"
               "{\"step\": 3, \"loss\": NaN, \"grad_norm\": -inf, \"lr\": 0.5}\n"
               "{\"step\": 3, \"eval_loss\": 2.25}\n"
               "{\"step\": 4, \"loss\": null, \"new_key\": {\"nan\": [\"inf\"]}}\n"
               "{\"step\": 5, \"loss\": 1");
    rw_run_metrics m;
    assert_int_equal(rw_run_metrics_read(path_of("metrics.jsonl"), &m), RW_OK);
    assert_int_equal(m.row_count, 3);
    assert_int_equal(m.damaged_lines, 4);
    assert_int_equal(m.repeated_steps, 0);
    assert_true(m.rows[0].value[RW_METRIC_LOSS] == 2.5);
    assert_true(m.rows[0].value[RW_METRIC_COMM_SHARE] == 25);
    assert_true(isnan(m.rows[1].value[RW_METRIC_LOSS]));
    assert_true(isnan(m.rows[1].value[RW_METRIC_GRAD_NORM]));
    assert_true(m.rows[1].value[RW_METRIC_LR] == 0.5);
    assert_true(m.rows[2].step == 4 && isnan(m.rows[2].value[RW_METRIC_LOSS]));
    assert_int_equal(m.evaluation_count, 1);
    assert_true(m.evaluations[0].loss == 2.25 && isnan(m.evaluations[0].bits_per_byte));
    assert_true(m.start.ranks == 2 && isnan(m.start.sp));
    assert_string_equal(m.start.host, "h");
    rw_run_metrics_free(&m);
}

static void repeated_steps_replace_the_former(void **state)
{
    (void)state;
    FILE *file = fopen(path_of("metrics.jsonl"), "w");
    for (int s = 1; s <= 10; s++) fprintf(file, "{\"step\": %d, \"loss\": 1}\n", s);
    fprintf(file, "{\"step\": 8, \"eval_loss\": 1}\n{\"event\": \"resumed\", \"step\": 6}\n");
    for (int s = 7; s <= 12; s++) fprintf(file, "{\"step\": %d, \"loss\": 2}\n", s);
    fprintf(file, "{\"step\": 8, \"eval_loss\": 2}\n");
    fclose(file);
    rw_run_metrics m;
    assert_int_equal(rw_run_metrics_read(path_of("metrics.jsonl"), &m), RW_OK);
    assert_int_equal(m.row_count, 12);
    assert_int_equal(m.repeated_steps, 4);
    for (size_t i = 0; i < 12; i++) {
        assert_true(m.rows[i].step == (double)(i + 1));
        assert_true(m.rows[i].value[RW_METRIC_LOSS] == (i < 6 ? 1 : 2));
    }
    assert_int_equal(m.evaluation_count, 1);
    assert_true(m.evaluations[0].loss == 2);
    assert_int_equal(m.event_count, 1);
    rw_run_metrics_free(&m);
}

static void every_truncation_of_metrics_is_read(void **state)
{
    (void)state;
    const char *whole = "{\"step\": 1, \"loss\": 1.5}\n{\"step\": 1, \"eval_loss\": NaN}\n"
                        "{\"event\": \"stopped\", \"step\": 1, \"why\": \"\\u00e9\"}\n";
    char part[256];
    for (size_t n = 0; n <= strlen(whole); n++) {
        snprintf(part, sizeof part, "%.*s", (int)n, whole);
        write_text("metrics.jsonl", part);
        rw_run_metrics m;
        assert_int_equal(rw_run_metrics_read(path_of("metrics.jsonl"), &m), RW_OK);
        assert_int_equal(m.damaged_lines, 0);
        rw_run_metrics_free(&m);
    }
}

static void config_is_read_by_path(void **state)
{
    (void)state;
    write_text("config.yaml", "model: {width: 64, blocks: [{mixer: ssd, state: 4}, {mlp: gelu}]}\n"
                              "data: {task: {name: mqar, vocab: 128, pairs: 8}}\n");
    rw_run_config config;
    char *text;
    assert_int_equal(rw_run_config_read(path_of("config.yaml"), &config), RW_OK);
    assert_string_equal(rw_run_config_get(&config, "model.width"), "64");
    assert_null(rw_run_config_get(&config, "model"));
    assert_null(rw_run_config_get(&config, "model.width.more"));
    assert_null(rw_run_config_get(&config, "optimizer.lr"));
    assert_int_equal(rw_run_config_blocks(&config, &text), RW_OK);
    assert_string_equal(text, "ssd, gelu");
    rw_free(&text);
    assert_int_equal(rw_run_config_options(&config, "data.task", &text), RW_OK);
    assert_string_equal(text, "vocab 128, pairs 8");
    rw_free(&text);
    assert_int_equal(rw_run_config_options(&config, "data.nothing", &text), RW_OK);
    assert_string_equal(text, "");
    rw_free(&text);
    rw_run_config_free(&config);
    write_text("config.yaml", "model: {width: [\n");
    assert_int_equal(rw_run_config_read(path_of("config.yaml"), &config), RW_OK);
    assert_null(rw_run_config_get(&config, "model.width"));
    rw_run_config_free(&config);
}

/* --- the page -------------------------------------------------------------------- */

/* Every element is closed, in order; <style> and its text are skipped. */
static void check_nesting(const char *page)
{
    char stack[32][16];
    int depth = 0;
    for (const char *c = page; (c = strchr(c, '<')); c++) {
        if (c[1] == '!') continue;
        const char *end = strchr(c, '>');
        char name[16];
        assert_non_null(end);
        assert_int_equal(sscanf(c + 1 + (c[1] == '/'), "%15[a-z0-9]", name), 1);
        if (c[1] == '/') {
            assert_true(depth > 0);
            assert_string_equal(stack[--depth], name);
        } else if (end[-1] != '/') {
            assert_true(depth < 32);
            strcpy(stack[depth++], name);
            if (!strcmp(name, "style")) c = strstr(c, "</style>") - 1;
        }
    }
    assert_int_equal(depth, 0);
}

/* All coordinates of paths lie inside of the picture. */
static void check_paths(const char *page)
{
    double width = 0, height = 0;
    for (const char *c = page; *c; c++) {
        if (!strncmp(c, "viewBox=\"0 0 ", 13))
            assert_int_equal(sscanf(c + 13, "%lf %lf", &width, &height), 2);
        if (strncmp(c, " d=\"", 4) != 0) continue;
        for (c += 4; *c != '"';) {
            char command = *c++, *after;
            assert_non_null(strchr("MLHVhv", command));
            double first = strtod(c, &after);
            assert_true(after > c);
            if (command == 'V')
                assert_true(first >= 0 && first <= height);
            else
                assert_true(first >= 0 && first <= width);
            c = after;
            if (command != 'M' && command != 'L') continue;
            double second = strtod(c, &after);
            assert_true(after > c && second >= 0 && second <= height);
            c = after;
        }
    }
}

static char *report(void)
{
    assert_int_equal(rw_report_write(folder, false), RW_OK);
    char *page = read_text("report.html");
    check_nesting(page);
    check_paths(page);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "http"));
    assert_null(strstr(page, "nan"));
    assert_null(strstr(page, "inf "));
    return page;
}

static void write_run(int steps, double noise)
{
    FILE *file = fopen(path_of("metrics.jsonl"), "w");
    rw_random stream = rw_random_stream(3, RW_RANDOM_TEST, 0);
    fprintf(file, "{\"event\": \"start\", \"parameters\": 1234567, \"dp\": 1, \"sp\": 2}\n");
    for (int s = 1; s <= steps; s++) {
        double loss = 1 + 4 / sqrt(s) + noise * rw_random_normal(stream, (uint64_t)s);
        fprintf(file,
                "{\"step\": %d, \"loss\": %.9g, \"bits_per_byte\": %.9g, \"tokens\": %d, "
                "\"tokens_per_s\": 1000, \"lr\": 1e-3, \"grad_norm\": %.9g, \"step_s\": 0.5, "
                "\"comm_s\": 0.1, \"exposed_comm_s\": 0.05, \"bytes_sent\": 4096}\n",
                s, loss, loss / log(2), s * 512, fabs(loss));
        if (s % 10 == 0) fprintf(file, "{\"step\": %d, \"eval_loss\": %.9g}\n", s, loss + 0.1);
    }
    fclose(file);
    write_text("config.yaml", "model: {width: 64, blocks: [{mixer: ssd}]}\n"
                              "train: {steps: 40}  # <b> & \"quoted\"\n");
}

static void page_shows_the_run(void **state)
{
    (void)state;
    write_run(40, 0.01);
    char *page = report();
    static const char *const shown[] = {"held-out loss", "Bits per byte",
                                        "Throughput",    "Communication",
                                        "Learning rate", "Gradient norm",
                                        "1,234,567",     "1 \u00d7 2",
                                        "20.5k tokens",  "# &lt;b&gt; &amp; &quot;quoted&quot;"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        assert_non_null(strstr(page, shown[i]));
    free(page);
    assert_int_equal(files_in_folder(), 3); /* no temporary file */
}

/* Whatever an event says is on the page, whole. */
static void events_are_shown_whole(void **state)
{
    (void)state;
    char kind[100], word[3001], line[4096];
    memset(kind, 'k', sizeof kind - 1);
    kind[sizeof kind - 1] = '\0';
    for (size_t i = 0; i < sizeof word - 1; i++)
        word[i] = i % 100 == 99 ? ' ' : 'a' + (char)(i % 23);
    word[sizeof word - 1] = '\0';
    snprintf(line, sizeof line,
             "{\"event\": \"%s\", \"step\": 4, \"was\": \"%s\", \"now\": 0.5, \"done\": true, "
             "\"list\": [1, \"x\"], \"none\": null}\n",
             kind, word);
    write_text("metrics.jsonl", line);
    rw_run_metrics m;
    assert_int_equal(rw_run_metrics_read(path_of("metrics.jsonl"), &m), RW_OK);
    assert_int_equal(m.event_count, 1);
    assert_string_equal(m.events[0].kind, kind);
    snprintf(line, sizeof line, "was %s, now 0.5, done true, list [1,\"x\"]", word);
    assert_string_equal(m.events[0].detail, line);
    rw_run_metrics_free(&m);
    char *page = report();
    assert_non_null(strstr(page, word));
    assert_non_null(strstr(page, kind));
    free(page);
}

/* So are the blocks of a deep model. */
static void all_blocks_are_shown(void **state)
{
    (void)state;
    FILE *file = fopen(path_of("config.yaml"), "w");
    fputs("model:\n  repeat: 2\n  blocks:\n", file);
    for (int i = 0; i < 200; i++) fprintf(file, "    - {mixer: mixer%d}\n", i);
    fclose(file);
    char *page = report();
    assert_non_null(strstr(page, "mixer0, mixer1, "));
    assert_non_null(strstr(page, "mixer198, mixer199)"));
    free(page);
}

/* What the held-out figures are of: some batches during training, or all tokens. */
static void page_says_what_was_evaluated(void **state)
{
    (void)state;
    const char *start = "{\"event\": \"start\", \"step\": 0, \"heldout_tokens\": 5000}\n";
    char text[512];
    write_text("config.yaml", "eval: {batches: 8}\n");
    snprintf(text, sizeof text, "%s{\"step\": 5, \"eval_loss\": 2, \"eval_tokens\": 1000}\n",
             start);
    write_text("metrics.jsonl", text);
    char *page = report();
    assert_non_null(strstr(page, "first 8 batches; best 2"));
    assert_non_null(strstr(page, "held-out, first 8 batches"));
    assert_non_null(strstr(page, "on 1,000 of the 5,000 held-out tokens"));
    free(page);
    snprintf(text, sizeof text, "%s{\"step\": 5, \"eval_loss\": 2, \"eval_tokens\": 5000}\n",
             start);
    write_text("metrics.jsonl", text);
    page = report();
    assert_non_null(strstr(page, "all held-out tokens; best 2"));
    assert_null(strstr(page, "of the 5,000"));
    free(page);
    write_text("metrics.jsonl", "{\"step\": 5, \"eval_loss\": 2}\n"); /* of an older version */
    page = report();
    assert_non_null(strstr(page, "first 8 batches; best 2"));
    assert_null(strstr(page, "ropewalk eval"));
    free(page);
}

static void page_of_any_length(void **state)
{
    (void)state;
    for (int steps = 0; steps <= 4; steps++) {
        write_run(steps, 0);
        char *page = report();
        assert_true((strstr(page, "No step") != NULL) == (steps == 0));
        free(page);
    }
    write_run(30000, 0.2);
    char *page = report();
    assert_in_range(strlen(page), 50000, 400000); /* a few points a pixel */
    assert_non_null(strstr(page, "log scale"));
    free(page);
}

static void page_of_odd_values(void **state)
{
    (void)state;
    write_text("metrics.jsonl", "{\"step\": 1, \"loss\": NaN}\n{\"step\": 2, \"loss\": inf}\n");
    char *page = report();
    assert_null(strstr(page, "<svg"));
    free(page);
    write_text("metrics.jsonl",
               "{\"step\": 0, \"loss\": 1e300, \"lr\": 0}\n{\"step\": 1, \"loss\": -1e300}\n"
               "{\"step\": 2, \"loss\": NaN, \"lr\": 0}\n{\"step\": 9e15, \"loss\": 1e-300}\n"
               "{\"event\": \"<i>\", \"step\": \"x\", \"why\": \"a<b\"}\n");
    page = report();
    assert_non_null(strstr(page, "&lt;i&gt;"));
    assert_non_null(strstr(page, "a&lt;b"));
    free(page);
    clear_folder();
    write_text("config.yaml", "not: [yaml");
    free(report());
}

static void errors_name_the_folder(void **state)
{
    (void)state;
    assert_int_equal(rw_report_write("/nowhere/at/all", false), RW_ERROR);
    assert_non_null(strstr(rw_message(), "/nowhere/at/all"));
    rw_clear_message();
    assert_int_equal(rw_report_write(folder, false), RW_ERROR);
    assert_non_null(strstr(rw_message(), "not a run folder"));
    rw_clear_message();
    write_run(3, 0);
    assert_int_equal(mkdir(path_of("report.html"), 0777), 0); /* rename fails */
    assert_int_equal(rw_report_write(folder, false), RW_ERROR);
    assert_non_null(strstr(rw_message(), "report.html"));
    assert_int_equal(files_in_folder(), 3);
    rw_clear_message();
}

/* By its content: a page of this or an earlier version, or an empty file. */
static void only_pages_of_ropewalk_are_replaced(void **state)
{
    (void)state;
    write_run(3, 0);
    write_text("report.html", "<!DOCTYPE html>\n<title>My report</title>\n");
    assert_int_equal(rw_report_write(folder, false), RW_ERROR);
    assert_non_null(strstr(rw_message(), "not written by ropewalk"));
    assert_non_null(strstr(rw_message(), "--force"));
    rw_clear_message();
    char *page = read_text("report.html");
    assert_non_null(strstr(page, "My report"));
    free(page);
    assert_int_equal(rw_report_write(folder, true), RW_OK);
    assert_int_equal(rw_report_write(folder, false), RW_OK);
    write_text("report.html", "<!DOCTYPE html>\n<title>lm \u2013 ropewalk</title>\n");
    assert_int_equal(rw_report_write(folder, false), RW_OK);
    write_text("report.html", "");
    assert_int_equal(rw_report_write(folder, false), RW_OK);
}

static void failing_allocations_leave_the_old_report(void **state)
{
    (void)state;
    write_run(40, 0);
    write_text("report.html", "old");
    size_t before = rw_memory_in_use();
    rw_status status = RW_ERROR;
    int failures = 0;
    for (long n = 1; status != RW_OK; n++, failures++) {
        rw_clear_message();
        rw_memory_fail_after(n);
        status = rw_report_write(folder, true);
        rw_memory_fail_after(0);
        assert_int_equal(rw_memory_in_use(), before);
        assert_int_equal(files_in_folder(), 3);
        if (status == RW_OK) break;
        assert_non_null(strstr(rw_message(), "out of memory"));
        char *page = read_text("report.html");
        assert_string_equal(page, "old");
        free(page);
    }
    assert_in_range(failures, 10, 1000);
    rw_clear_message();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(numbers_always_fit),
        cmocka_unit_test(axes_have_distinct_round_ticks),
        cmocka_unit_test(axis_covers_and_clamps),
        cmocka_unit_test(labels_are_short),
        cmocka_unit_test(columns_keep_the_extremes),
        cmocka_unit_test(smoothing_keeps_a_line),
        cmocka_unit_test(smoothing_of_one_point_is_the_point),
        cmocka_unit_test_setup_teardown(metrics_survive_damage, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(repeated_steps_replace_the_former, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(every_truncation_of_metrics_is_read, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(config_is_read_by_path, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(page_shows_the_run, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(events_are_shown_whole, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(all_blocks_are_shown, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(page_says_what_was_evaluated, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(page_of_any_length, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(page_of_odd_values, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(errors_name_the_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(only_pages_of_ropewalk_are_replaced, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(failing_allocations_leave_the_old_report, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
