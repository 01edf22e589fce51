#include "report/run_metrics.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/plain_file.h"

#define LINE_SIZE  (1 << 16) /* a longer line is damaged */
#define EVENTS_MAX 10000     /* kept; a report shows fewer */

static const char *const keys[] = {
    [RW_METRIC_LOSS] = "loss",
    [RW_METRIC_BITS_PER_BYTE] = "bits_per_byte",
    [RW_METRIC_TOKENS] = "tokens",
    [RW_METRIC_TOKENS_PER_S] = "tokens_per_s",
    [RW_METRIC_LR] = "lr",
    [RW_METRIC_GRAD_NORM] = "grad_norm",
    [RW_METRIC_STEP_S] = "step_s",
    [RW_METRIC_COMM_S] = "comm_s",
    [RW_METRIC_EXPOSED_COMM_S] = "exposed_comm_s",
    [RW_METRIC_BYTES_SENT] = "bytes_sent",
};

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool has_step(double step)
{
    return step >= 0 && step <= 9007199254740992.0; /* 2^53 */
}

static double share(double part, double whole)
{
    return whole > 0 ? fmin(100 * part / whole, 100) : NAN;
}

/* A launch from an older checkpoint repeats steps: its lines replace the lines from `step` on. */
static rw_status take_row(rw_run_metrics *metrics, const json_t *object, double step)
{
    while (metrics->row_count && metrics->rows[metrics->row_count - 1].step >= step) {
        metrics->row_count--;
        metrics->repeated_steps++;
    }
    RW_TRY(rw_grow(&metrics->rows, &metrics->row_capacity, metrics->row_count + 1,
                   sizeof *metrics->rows));
    rw_metrics_row *row = &metrics->rows[metrics->row_count++];
    row->step = step;
    double *value = row->value;
    for (int i = 0; i <= RW_METRIC_BYTES_SENT; i++) value[i] = number(object, keys[i]);
    value[RW_METRIC_COMM_SHARE] = share(value[RW_METRIC_COMM_S], value[RW_METRIC_STEP_S]);
    value[RW_METRIC_EXPOSED_SHARE] =
        share(value[RW_METRIC_EXPOSED_COMM_S], value[RW_METRIC_STEP_S]);
    return RW_OK;
}

static rw_status take_evaluation(rw_run_metrics *metrics, const json_t *object, double step)
{
    size_t count = metrics->evaluation_count;
    while (count && metrics->evaluations[count - 1].step >= step) count--;
    RW_TRY(rw_grow(&metrics->evaluations, &metrics->evaluation_capacity, count + 1,
                   sizeof *metrics->evaluations));
    metrics->evaluations[count] = (rw_metrics_evaluation){step, number(object, "eval_loss"),
                                                          number(object, "eval_bits_per_byte"),
                                                          number(object, "eval_tokens")};
    metrics->evaluation_count = count + 1;
    return RW_OK;
}

static void take_start(rw_metrics_start *start, json_t *object)
{
    *start = (rw_metrics_start){
        .parameters = number(object, "parameters"),
        .ranks = number(object, "ranks"),
        .dp = number(object, "dp"),
        .sp = number(object, "sp"),
        .threads = number(object, "threads"),
        .heldout_tokens = number(object, "heldout_tokens"),
    };
    const char *host = json_string_value(json_object_get(object, "host"));
    snprintf(start->host, sizeof start->host, "%s", host ? host : "");
}

/* A value for people. The caller frees *out. */
static rw_status write_value(const json_t *value, char **out)
{
    char text[32];
    if (json_is_string(value)) return rw_strdup(json_string_value(value), out);
    if (json_is_number(value)) {
        snprintf(text, sizeof text, "%.9g", json_number_value(value));
        return rw_strdup(text, out);
    }
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    rw_status status = rw_strdup(dump ? dump : "", out);
    free(dump);
    return status;
}

static rw_status append(char **text, size_t *used, size_t *capacity, const char *piece)
{
    size_t length = strlen(piece);
    RW_TRY(rw_grow(text, capacity, *used + length + 1, 1));
    memcpy(*text + *used, piece, length + 1);
    *used += length;
    return RW_OK;
}

/* Fields without a value (null) are left out. */
static rw_status write_detail(json_t *object, char **out)
{
    size_t used = 0, capacity = 0;
    const char *key;
    json_t *value;
    RW_TRY(append(out, &used, &capacity, ""));
    json_object_foreach(object, key, value)
    {
        char *text;
        if (!strcmp(key, "event") || !strcmp(key, "step") || json_is_null(value)) continue;
        RW_TRY(append(out, &used, &capacity, used ? ", " : ""));
        RW_TRY(append(out, &used, &capacity, key));
        RW_TRY(append(out, &used, &capacity, " "));
        RW_TRY(write_value(value, &text));
        rw_status status = append(out, &used, &capacity, text);
        rw_free(&text);
        RW_TRY(status);
    }
    return RW_OK;
}

static rw_status take_event(rw_run_metrics *metrics, json_t *object, const char *kind)
{
    if (!strcmp(kind, "start")) take_start(&metrics->start, object);
    if (!strcmp(kind, "rollback")) {
        metrics->rollbacks = number(object, "rollbacks");
        metrics->skipped_sequences = number(object, "skipped_sequences");
    }
    if (metrics->event_count == EVENTS_MAX) return RW_OK;
    RW_TRY(rw_grow(&metrics->events, &metrics->event_capacity, metrics->event_count + 1,
                   sizeof *metrics->events));
    rw_metrics_event *event = &metrics->events[metrics->event_count++];
    *event = (rw_metrics_event){.step = number(object, "step")};
    RW_TRY(rw_strdup(kind, &event->kind));
    return write_detail(object, &event->detail);
}

/* Training, evaluation or event; other objects are left to later versions. */
static rw_status take_object(rw_run_metrics *metrics, json_t *object)
{
    const char *kind = json_string_value(json_object_get(object, "event"));
    if (kind) return take_event(metrics, object, kind);
    bool trains = json_object_get(object, "loss");
    bool evaluates = json_object_get(object, "eval_loss");
    double step = number(object, "step");
    if (!has_step(step)) {
        metrics->damaged_lines += trains || evaluates || !json_is_object(object);
        return RW_OK;
    }
    if (trains) RW_TRY(take_row(metrics, object, step));
    if (evaluates) RW_TRY(take_evaluation(metrics, object, step));
    return RW_OK;
}

static bool is_not_finite(const char *word, size_t length)
{
    static const char *const words[] = {"nan", "inf", "infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == length && !strncasecmp(word, words[i], length)) return true;
    return false;
}

/* JSON has no NaN: a bare nan, -inf or Infinity becomes an empty string, which is not a number, and
 * spaces. Returns whether there was one. */
static bool hide_not_finite(char *line)
{
    bool found = false, quoted = false;
    for (char *c = line; *c; c++) {
        if (quoted && *c == '\\' && c[1])
            c++;
        else if (*c == '"')
            quoted = !quoted;
        else if (!quoted && isalpha((unsigned char)*c)) {
            size_t length = 1;
            while (isalpha((unsigned char)c[length])) length++;
            if (is_not_finite(c, length)) {
                memset(c, ' ', length);
                if (c > line && (c[-1] == '-' || c[-1] == '+')) c[-1] = ' ';
                c[0] = c[1] = '"';
                found = true;
            }
            c += length - 1;
        }
    }
    return found;
}

static rw_status take_line(rw_run_metrics *metrics, char *line, bool whole)
{
    if (line[strspn(line, " \t\r")] == '\0') return RW_OK;
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    if (!object && hide_not_finite(line)) object = json_loads(line, 0, NULL);
    if (!object) {
        metrics->damaged_lines += whole;
        return RW_OK;
    }
    rw_status status = take_object(metrics, object);
    json_decref(object);
    return status;
}

/* Reads a line without its end, cut to LINE_SIZE. *whole: the line had an end. */
static bool read_line(FILE *file, char *line, bool *whole)
{
    size_t length = 0;
    int c = getc_unlocked(file);
    if (c == EOF) return false;
    for (; c != EOF && c != '\n'; c = getc_unlocked(file))
        if (length + 1 < LINE_SIZE) line[length++] = c ? (char)c : '\1';
    *whole = c == '\n';
    line[length] = '\0';
    return true;
}

rw_status rw_run_metrics_read(const char *path, rw_run_metrics *out)
{
    *out = (rw_run_metrics){
        .start = {NAN, NAN, NAN, NAN, NAN, NAN, ""}, .rollbacks = NAN, .skipped_sequences = NAN};
    const char *why;
    FILE *file = rw_plain_open(path, &why);
    if (!file && errno == ENOENT) return RW_OK;
    if (!file) return rw_fail(RW_ERROR, "cannot read %s: %s", path, why);
    rw_status status = RW_OK;
    char *line = NULL;
    bool whole;
    RW_TRY_DONE(rw_alloc(LINE_SIZE, 1, "a line of metrics", &line));
    while (read_line(file, line, &whole)) RW_TRY_DONE(take_line(out, line, whole));
    if (ferror(file)) status = rw_fail(RW_ERROR, "cannot read %s: %s", path, strerror(errno));
done:
    rw_free(&line);
    fclose(file);
    return status;
}

void rw_run_metrics_free(rw_run_metrics *metrics)
{
    rw_free(&metrics->rows);
    rw_free(&metrics->evaluations);
    for (size_t i = 0; i < metrics->event_count; i++) {
        rw_free(&metrics->events[i].kind);
        rw_free(&metrics->events[i].detail);
    }
    rw_free(&metrics->events);
    *metrics = (rw_run_metrics){0};
}
