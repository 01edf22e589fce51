#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/chart.h"
#include "report/report_page.h"

#define WIDE   1078 /* pixels of the page's width */
#define HALF   514
#define HIGH   380
#define LOW    250
#define STRIDE (sizeof(rw_metrics_row) / sizeof(double))

static rw_points row_points(const rw_run_metrics *metrics, rw_metric metric)
{
    if (!metrics->row_count) return (rw_points){NULL, NULL, 0, STRIDE};
    return (rw_points){&metrics->rows[0].step, &metrics->rows[0].value[metric], metrics->row_count,
                       STRIDE};
}

static rw_points evaluation_points(const rw_run_metrics *metrics, bool bits)
{
    const rw_metrics_evaluation *first = metrics->evaluations;
    size_t stride = sizeof *first / sizeof(double);
    if (!metrics->evaluation_count) return (rw_points){NULL, NULL, 0, stride};
    return (rw_points){&first->step, bits ? &first->bits_per_byte : &first->loss,
                       metrics->evaluation_count, stride};
}

static double mean_loss(const rw_run_metrics *metrics, size_t from, size_t count)
{
    double sum = 0;
    for (size_t i = from; i < from + count; i++) sum += metrics->rows[i].value[RW_METRIC_LOSS];
    return sum / (double)count;
}

/* Long runs whose loss has fallen by four fifths within the first tenth show nothing on a linear
 * axis of steps: they get a logarithmic axis. */
static bool wants_log_steps(const rw_run_metrics *metrics)
{
    size_t n = metrics->row_count;
    if (n < 1000 || metrics->rows[n - 1].step < 1000 * fmax(metrics->rows[0].step, 1)) return false;
    size_t window = n / 100;
    double start = metrics->rows[0].value[RW_METRIC_LOSS];
    double early = mean_loss(metrics, n / 10 - window, window);
    double end = mean_loss(metrics, n - window, window);
    return start - early > 0.8 * (start - end); /* false with a NaN */
}

static rw_status write_if_any(const rw_chart *chart, FILE *out)
{
    return rw_chart_has_points(chart) ? rw_chart_write(chart, out) : RW_OK;
}

/* Losses, or bits per byte: training and held-out data in one wide chart. */
static rw_status loss_figure(const rw_report *report, bool bits, const double *marks,
                             size_t mark_count, FILE *out)
{
    const rw_run_metrics *metrics = report->metrics;
    char part[RW_REPORT_PART], held_out[RW_REPORT_PART + 16];
    rw_report_part(report, part);
    snprintf(held_out, sizeof held_out, "held-out%s%s", *part ? ", " : "", part);
    const rw_series series[] = {
        {"training, smoothed", RW_DRAW_SMOOTH, 1,
         row_points(metrics, bits ? RW_METRIC_BITS_PER_BYTE : RW_METRIC_LOSS)},
        {held_out, RW_DRAW_POINTS, 2, evaluation_points(metrics, bits)},
    };
    const rw_chart chart = {
        .title = bits ? "Bits per byte" : "Loss",
        .x_label = "step",
        .y_label = bits ? "bits per byte" : "loss",
        .width = WIDE,
        .height = bits ? LOW + 40 : HIGH,
        .log_x = wants_log_steps(metrics),
        .series = series,
        .series_count = 2,
        .marks = marks,
        .mark_count = mark_count,
    };
    return write_if_any(&chart, out);
}

static rw_status small_figure(const char *title, const char *y_label, const rw_series *series,
                              int count, bool from_zero, FILE *out)
{
    const rw_chart chart = {
        .title = title,
        .x_label = "step",
        .y_label = y_label,
        .width = HALF,
        .height = LOW,
        .from_zero = from_zero,
        .series = series,
        .series_count = count,
    };
    return write_if_any(&chart, out);
}

static rw_status small_figures(const rw_run_metrics *metrics, FILE *out)
{
    const rw_series speed = {"per step, smoothed", RW_DRAW_SMOOTH, 3,
                             row_points(metrics, RW_METRIC_TOKENS_PER_S)};
    const rw_series comm[] = {
        {"all", RW_DRAW_SMOOTH, 1, row_points(metrics, RW_METRIC_COMM_SHARE)},
        {"not hidden by computing", RW_DRAW_SMOOTH, 2,
         row_points(metrics, RW_METRIC_EXPOSED_SHARE)},
    };
    const rw_series lr = {"", RW_DRAW_LINE, 1, row_points(metrics, RW_METRIC_LR)};
    const rw_series norm = {"per step, smoothed", RW_DRAW_SMOOTH, 1,
                            row_points(metrics, RW_METRIC_GRAD_NORM)};
    RW_TRY(small_figure("Throughput", "tokens/s", &speed, 1, true, out));
    RW_TRY(small_figure("Communication", "% of the step's time", comm, 2, true, out));
    RW_TRY(small_figure("Learning rate", "learning rate", &lr, 1, true, out));
    return small_figure("Gradient norm", "norm before clipping", &norm, 1, false, out);
}

static size_t find_resumes(const rw_run_metrics *metrics, double *steps)
{
    size_t count = 0;
    for (size_t i = 0; i < metrics->event_count; i++)
        if (!strcmp(metrics->events[i].kind, "resumed")) steps[count++] = metrics->events[i].step;
    return count;
}

rw_status rw_report_figures(const rw_report *report, FILE *out)
{
    const rw_run_metrics *metrics = report->metrics;
    double *resumes = NULL;
    rw_status status;
    RW_TRY_DONE(rw_alloc(metrics->event_count, sizeof *resumes, "marks of a chart", &resumes));
    size_t count = find_resumes(metrics, resumes);
    RW_TRY_DONE(loss_figure(report, false, resumes, count, out));
    RW_TRY_DONE(loss_figure(report, true, resumes, count, out));
    fputs("<div class=\"pair\">\n", out);
    RW_TRY_DONE(small_figures(metrics, out));
    fputs("</div>\n", out);
done:
    rw_free(&resumes);
    return status;
}
