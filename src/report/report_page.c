#include "report/report_page.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "report/quantity.h"

#define EVENTS_SHOWN 20

void rw_report_text(const char *text, FILE *out)
{
    for (const char *c = text; *c; c++) {
        if (*c == '<')
            fputs("&lt;", out);
        else if (*c == '>')
            fputs("&gt;", out);
        else if (*c == '&')
            fputs("&amp;", out);
        else if (*c == '"')
            fputs("&quot;", out);
        else
            fputc((unsigned char)*c < ' ' && *c != '\n' && *c != '\t' ? ' ' : *c, out);
    }
}

/* --- statistics ---------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the finite values; NaN if there are none. */
static rw_status median(const rw_run_metrics *metrics, rw_metric metric, double *out)
{
    double *values = NULL;
    RW_TRY(rw_alloc(metrics->row_count, sizeof *values, "a median", &values));
    size_t n = 0;
    for (size_t i = 0; i < metrics->row_count; i++)
        if (isfinite(metrics->rows[i].value[metric])) values[n++] = metrics->rows[i].value[metric];
    qsort(values, n, sizeof *values, compare);
    *out = n ? 0.5 * (values[(n - 1) / 2] + values[n / 2]) : NAN;
    rw_free(&values);
    return RW_OK;
}

static double total(const rw_run_metrics *metrics, rw_metric metric)
{
    double sum = NAN;
    for (size_t i = 0; i < metrics->row_count; i++) {
        double value = metrics->rows[i].value[metric];
        if (isfinite(value)) sum = isnan(sum) ? value : sum + value;
    }
    return sum;
}

/* Last and best of a series: the best is the lowest. */
typedef struct {
    double last, best, best_step;
} extremes;

static void look_at(extremes *e, double step, double value)
{
    if (!isfinite(value)) return;
    e->last = value;
    if (value >= e->best) return;
    e->best = value;
    e->best_step = step;
}

static extremes of_rows(const rw_run_metrics *metrics, rw_metric metric)
{
    extremes e = {NAN, INFINITY, NAN};
    for (size_t i = 0; i < metrics->row_count; i++)
        look_at(&e, metrics->rows[i].step, metrics->rows[i].value[metric]);
    return e;
}

static extremes of_evaluations(const rw_run_metrics *metrics, bool bits)
{
    extremes e = {NAN, INFINITY, NAN};
    for (size_t i = 0; i < metrics->evaluation_count; i++) {
        const rw_metrics_evaluation *evaluation = &metrics->evaluations[i];
        look_at(&e, evaluation->step, bits ? evaluation->bits_per_byte : evaluation->loss);
    }
    return e;
}

static const rw_metrics_evaluation *last_evaluation(const rw_run_metrics *metrics)
{
    size_t count = metrics->evaluation_count;
    return count ? &metrics->evaluations[count - 1] : NULL;
}

static bool is_of_all(const rw_run_metrics *metrics)
{
    const rw_metrics_evaluation *last = last_evaluation(metrics);
    return last && last->tokens >= metrics->start.heldout_tokens; /* false with a NaN */
}

void rw_report_part(const rw_report *report, char text[RW_REPORT_PART])
{
    const char *batches = rw_run_config_get(report->config, "eval.batches");
    text[0] = '\0';
    if (is_of_all(report->metrics))
        snprintf(text, RW_REPORT_PART, "all held-out tokens");
    else if (batches && last_evaluation(report->metrics) && strcmp(batches, "1") == 0)
        snprintf(text, RW_REPORT_PART, "first batch");
    else if (batches && last_evaluation(report->metrics))
        snprintf(text, RW_REPORT_PART, "first %.32s batches", batches);
}

static double last_value(const rw_run_metrics *metrics, rw_metric metric)
{
    return of_rows(metrics, metric).last;
}

/* --- tiles --------------------------------------------------------------------- */

static void tile(const char *name, const char *value, const char *below, FILE *out)
{
    fprintf(out, "<div class=\"tile\"><span>%s</span><b>", name);
    rw_report_text(value, out);
    fputs("</b><span>", out);
    rw_report_text(below, out);
    fputs("</span></div>\n", out);
}

static void loss_tile(const char *name, const char *part, extremes e, FILE *out)
{
    if (!isfinite(e.last)) return;
    char last[RW_QUANTITY_SIZE], best[RW_QUANTITY_SIZE], step[RW_QUANTITY_SIZE], below[256];
    rw_quantity_loss(e.last, last, sizeof last);
    rw_quantity_loss(e.best, best, sizeof best);
    rw_quantity_grouped(e.best_step, 0, step, sizeof step);
    snprintf(below, sizeof below, "%s%sbest %s at step %s", part, *part ? "; " : "", best, step);
    tile(name, last, below, out);
}

static void steps_tile(const rw_report *report, FILE *out)
{
    const rw_run_metrics *metrics = report->metrics;
    const char *horizon = rw_run_config_get(report->config, "train.steps");
    double done = metrics->row_count ? metrics->rows[metrics->row_count - 1].step : 0;
    double wanted = horizon ? strtod(horizon, NULL) : NAN;
    double tokens = last_value(metrics, RW_METRIC_TOKENS);
    char steps[RW_QUANTITY_SIZE], text[RW_QUANTITY_SIZE], of[64] = "", below[160] = "";
    rw_quantity_grouped(done, 0, steps, sizeof steps);
    rw_quantity_grouped(wanted, 0, text, sizeof text);
    if (wanted > 0) snprintf(of, sizeof of, "of %s", text);
    rw_quantity_short(tokens, text, sizeof text);
    if (isfinite(tokens))
        snprintf(below, sizeof below, "%s%s%s tokens", of, *of ? ", " : "", text);
    else
        snprintf(below, sizeof below, "%s", of);
    tile("steps", steps, below, out);
}

static rw_status speed_tiles(const rw_run_metrics *metrics, FILE *out)
{
    double speed, step_s;
    RW_TRY(median(metrics, RW_METRIC_TOKENS_PER_S, &speed));
    RW_TRY(median(metrics, RW_METRIC_STEP_S, &step_s));
    double time_s = total(metrics, RW_METRIC_STEP_S);
    char value[RW_QUANTITY_SIZE], below[96], text[RW_QUANTITY_SIZE];
    if (isfinite(speed)) {
        rw_quantity_short(speed, value, sizeof value);
        tile("tokens/s", value, "median", out);
    }
    if (isfinite(time_s)) {
        rw_quantity_time(time_s, value, sizeof value);
        rw_quantity_time(step_s, text, sizeof text);
        snprintf(below, sizeof below, "%s a step", text);
        tile("training time", value, below, out);
    }
    return RW_OK;
}

/* The reason why `ropewalk eval` prints other figures. */
static void write_part_note(const rw_run_metrics *metrics, FILE *out)
{
    const rw_metrics_evaluation *last = last_evaluation(metrics);
    double all = metrics->start.heldout_tokens;
    char tokens[RW_QUANTITY_SIZE], whole[RW_QUANTITY_SIZE];
    if (!last || !(last->tokens < all)) return;
    rw_quantity_grouped(last->tokens, 0, tokens, sizeof tokens);
    rw_quantity_grouped(all, 0, whole, sizeof whole);
    fprintf(out,
            "<p class=\"lead\">Held-out figures on this page were measured during training, on %s "
            "of the %s held-out tokens. <code>ropewalk eval</code> measures all of them.</p>\n",
            tokens, whole);
}

static rw_status write_tiles(const rw_report *report, FILE *out)
{
    const rw_run_metrics *metrics = report->metrics;
    char part[RW_REPORT_PART];
    rw_report_part(report, part);
    fputs("<div class=\"tiles\">\n", out);
    loss_tile("held-out loss", part, of_evaluations(metrics, false), out);
    loss_tile("held-out bits/byte", part, of_evaluations(metrics, true), out);
    loss_tile("training loss", "", of_rows(metrics, RW_METRIC_LOSS), out);
    steps_tile(report, out);
    RW_TRY(speed_tiles(metrics, out));
    fputs("</div>\n", out);
    write_part_note(metrics, out);
    return RW_OK;
}

/* --- facts --------------------------------------------------------------------- */

static void fact(const char *name, const char *value, FILE *out)
{
    if (!value || !*value) return;
    fprintf(out, "<dt>%s</dt><dd>", name);
    rw_report_text(value, out);
    fputs("</dd>\n", out);
}

static void config_fact(const rw_report *report, const char *name, const char *path, FILE *out)
{
    fact(name, rw_run_config_get(report->config, path), out);
}

static void number_fact(const char *name, double value, FILE *out)
{
    char text[RW_QUANTITY_SIZE];
    rw_quantity_grouped(value, 0, text, sizeof text);
    if (isfinite(value)) fact(name, text, out);
}

static rw_status blocks_fact(const rw_report *report, FILE *out)
{
    char *blocks;
    const char *repeat = rw_run_config_get(report->config, "model.repeat");
    RW_TRY(rw_run_config_blocks(report->config, &blocks));
    if (*blocks && repeat && strcmp(repeat, "1") != 0) {
        fputs("<dt>blocks</dt><dd>", out);
        rw_report_text(repeat, out);
        fputs(" \u00d7 (", out);
        rw_report_text(blocks, out);
        fputs(")</dd>\n", out);
    } else
        fact("blocks", blocks, out);
    rw_free(&blocks);
    return RW_OK;
}

static rw_status model_facts(const rw_report *report, FILE *out)
{
    RW_TRY(blocks_fact(report, out));
    config_fact(report, "width", "model.width", out);
    config_fact(report, "chunk", "model.chunk", out);
    number_fact("parameters", report->metrics->start.parameters, out);
    return RW_OK;
}

static rw_status data_facts(const rw_report *report, FILE *out)
{
    char *options;
    config_fact(report, "dataset", "data.dataset", out);
    config_fact(report, "task", "data.task.name", out);
    RW_TRY(rw_run_config_options(report->config, "data.task", &options));
    fact("", options, out);
    rw_free(&options);
    config_fact(report, "tokens of a sequence", "data.length", out);
    config_fact(report, "sequences of a step", "data.batch", out);
    return RW_OK;
}

static void training_facts(const rw_report *report, FILE *out)
{
    config_fact(report, "optimizer", "optimizer.name", out);
    config_fact(report, "learning rate", "optimizer.lr", out);
    config_fact(report, "weight decay", "optimizer.weight_decay", out);
    config_fact(report, "clip", "optimizer.clip", out);
    config_fact(report, "schedule", "schedule.name", out);
    config_fact(report, "warm-up", "schedule.warmup", out);
    config_fact(report, "precision", "train.precision", out);
    config_fact(report, "seed", "train.seed", out);
    number_fact("rollbacks", report->metrics->rollbacks, out);
    number_fact("sequences passed over", report->metrics->skipped_sequences, out);
}

static rw_status machine_facts(const rw_report *report, FILE *out)
{
    const rw_metrics_start *start = &report->metrics->start;
    char text[64];
    number_fact("ranks", start->ranks, out);
    snprintf(text, sizeof text, "%.0f \u00d7 %.0f", start->dp, start->sp);
    if (isfinite(start->dp) && isfinite(start->sp)) fact("data \u00d7 sequence", text, out);
    number_fact("threads of a rank", start->threads, out);
    fact("host", start->host, out);
    double part, bytes;
    RW_TRY(median(report->metrics, RW_METRIC_EXPOSED_SHARE, &part));
    RW_TRY(median(report->metrics, RW_METRIC_BYTES_SENT, &bytes));
    snprintf(text, sizeof text, "%.1f%% of the time", part);
    if (isfinite(part)) fact("waiting for others", text, out);
    rw_quantity_short(bytes, text, sizeof text);
    if (isfinite(bytes)) fact("bytes sent in a step", text, out);
    return RW_OK;
}

static rw_status write_facts(const rw_report *report, FILE *out)
{
    fputs("<div class=\"facts\">\n<section><h2>Model and data</h2><dl>\n", out);
    RW_TRY(model_facts(report, out));
    RW_TRY(data_facts(report, out));
    fputs("</dl></section>\n<section><h2>Training</h2><dl>\n", out);
    training_facts(report, out);
    fputs("</dl></section>\n<section><h2>Machine</h2><dl>\n", out);
    RW_TRY(machine_facts(report, out));
    fputs("</dl></section>\n</div>\n", out);
    return RW_OK;
}

/* --- the rest of the page ------------------------------------------------------ */

static void write_events(const rw_run_metrics *metrics, FILE *out)
{
    size_t count = metrics->event_count;
    if (!count) return;
    size_t first = count > EVENTS_SHOWN ? count - EVENTS_SHOWN : 0;
    fputs("<section><h2>Events</h2>\n<table>\n"
          "<tr><th>step</th><th>event</th><th>details</th></tr>\n",
          out);
    for (size_t i = first; i < count; i++) {
        const rw_metrics_event *event = &metrics->events[i];
        char step[RW_QUANTITY_SIZE];
        rw_quantity_grouped(event->step, 0, step, sizeof step);
        fprintf(out, "<tr><td>%s</td><td>", step);
        rw_report_text(event->kind, out);
        fputs("</td><td>", out);
        rw_report_text(event->detail, out);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
    if (first) fprintf(out, "<p class=\"key\">and %zu earlier ones</p>\n", first);
    fputs("</section>\n", out);
}

static void write_config(const rw_report *report, FILE *out)
{
    if (!*report->config->text) return;
    fputs("<details><summary>config.yaml</summary><pre>", out);
    rw_report_text(report->config->text, out);
    fputs("</pre></details>\n", out);
}

static void write_notes(const rw_run_metrics *metrics, FILE *out)
{
    if (!metrics->row_count && !metrics->evaluation_count)
        fputs("<p class=\"note\">No step has been recorded yet.</p>\n", out);
    if (metrics->damaged_lines)
        fprintf(out, "<p class=\"note\">Left out: %zu damaged line%s of metrics.jsonl.</p>\n",
                metrics->damaged_lines, metrics->damaged_lines > 1 ? "s" : "");
    if (metrics->repeated_steps)
        fprintf(out,
                "<p class=\"note\">%zu step%s repeated after a checkpoint; shown as of the last "
                "time.</p>\n",
                metrics->repeated_steps, metrics->repeated_steps > 1 ? "s were" : " was");
}

static void write_head(const rw_report *report, FILE *out)
{
    char path[PATH_MAX];
    const char *whole = realpath(report->run_dir, path) ? path : report->run_dir;
    const char *slash = strrchr(whole, '/');
    const char *name = slash && slash[1] ? slash + 1 : whole;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n" RW_REPORT_MARK
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
          out);
    rw_report_text(name, out);
    fprintf(out, " \u2013 ropewalk</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>",
            rw_report_style);
    rw_report_text(name, out);
    fputs("</h1>\n<p class=\"lead\">", out);
    rw_report_text(whole, out);
    fputs("</p>\n", out);
}

static void write_foot(FILE *out)
{
    char date[64];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &utc));
    fprintf(out, "<footer>Written by ropewalk report on %s.</footer>\n</main>\n</body>\n</html>\n",
            date);
}

rw_status rw_report_page(const rw_report *report, FILE *out)
{
    write_head(report, out);
    write_notes(report->metrics, out);
    RW_TRY(write_tiles(report, out));
    RW_TRY(rw_report_figures(report, out));
    RW_TRY(write_facts(report, out));
    write_events(report->metrics, out);
    write_config(report, out);
    write_foot(out);
    return RW_OK;
}
