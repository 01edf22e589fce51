#include "report/chart.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "report/quantity.h"

/* Margins of the plot inside the picture, in pixels. */
#define LEFT   58
#define RIGHT  20
#define TOP    26
#define BOTTOM 44

#define SHRINK 0.65 /* on a narrow screen; on a narrower one the chart scrolls */

#define TICKS_MAX   32
#define SAMPLE_SIZE 4096 /* values in the sample for quantiles */
#define MARKERS_MAX 150  /* more evaluations than this are drawn as a line */

typedef struct {
    const rw_chart *chart;
    rw_axis x, y;
    rw_column *columns;
    double *smooth;
    int column_count;
    FILE *out;
} drawing;

static double value_of(const double *array, const rw_points *points, size_t i)
{
    return array[i * points->stride];
}

bool rw_chart_has_points(const rw_chart *chart)
{
    for (int s = 0; s < chart->series_count; s++) {
        const rw_points *points = &chart->series[s].points;
        for (size_t i = 0; i < points->count; i++)
            if (isfinite(value_of(points->y, points, i))) return true;
    }
    return false;
}

/* --- ranges ------------------------------------------------------------------ */

typedef struct {
    double low, high;
} range;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void widen(range *r, double low, double high)
{
    r->low = fmin(r->low, low);
    r->high = fmax(r->high, high);
}

/* Range of the values of a series, without spikes that would flatten the rest: eight times the
 * width of the middle 96% of a sample. */
static void widen_by_series(range *r, const rw_points *points, double *sample)
{
    size_t stride = points->count / SAMPLE_SIZE + 1, n = 0;
    range whole = {INFINITY, -INFINITY};
    for (size_t i = 0; i < points->count; i++) {
        double value = value_of(points->y, points, i);
        if (!isfinite(value)) continue;
        widen(&whole, value, value);
        if (i % stride == 0) sample[n++] = value;
    }
    if (!isfinite(whole.low)) return;
    if (n >= 50) {
        qsort(sample, n, sizeof *sample, compare);
        double low = sample[n / 50], high = sample[n - 1 - n / 50];
        double reach = 8 * (high - low);
        if (reach > 0 && whole.high > high + reach) whole.high = high + reach;
        if (reach > 0 && whole.low < low - reach) whole.low = low - reach;
    }
    widen(r, whole.low, whole.high);
}

static rw_status find_ranges(const rw_chart *chart, range *x, range *y)
{
    double *sample = NULL;
    RW_TRY(rw_alloc(SAMPLE_SIZE, sizeof *sample, "a chart", &sample));
    *x = *y = (range){INFINITY, -INFINITY};
    for (int s = 0; s < chart->series_count; s++) {
        const rw_points *points = &chart->series[s].points;
        for (size_t i = 0; i < points->count; i++) {
            double across = value_of(points->x, points, i);
            if (!chart->log_x || across > 0) widen(x, across, across);
        }
        widen_by_series(y, points, sample);
    }
    rw_free(&sample);
    if (!isfinite(x->low)) *x = (range){0, 1};
    if (!isfinite(y->low)) *y = (range){0, 1};
    return RW_OK;
}

static int wanted_y_ticks(const rw_chart *chart)
{
    return (int)fmax(3, chart->height / 48);
}

static rw_status make_axes(drawing *d)
{
    const rw_chart *chart = d->chart;
    range x, y;
    RW_TRY(find_ranges(chart, &x, &y));
    bool log_y = !chart->from_zero && y.low > 0 && y.high > 100 * y.low;
    if (chart->from_zero) widen(&y, 0, 0);
    if (x.high - x.low < 1) x = (range){x.low - 1, x.high + 1}; /* a single step */
    d->x = rw_axis_make(chart->log_x, x.low, x.high, 0, LEFT, chart->width - RIGHT);
    d->x.whole = true;
    d->y = rw_axis_make(log_y, y.low, y.high, wanted_y_ticks(chart), chart->height - BOTTOM, TOP);
    return RW_OK;
}

/* --- drawing ----------------------------------------------------------------- */

static void draw_x_axis(const drawing *d)
{
    double ticks[TICKS_MAX];
    int count = rw_axis_ticks(&d->x, (int)(d->chart->width / 95), ticks, TICKS_MAX);
    double bottom = d->y.from;
    for (int i = 0; i < count; i++) {
        char label[RW_QUANTITY_SIZE];
        rw_axis_label(&d->x, ticks, count, i, label, sizeof label);
        double x = rw_axis_place(&d->x, ticks[i]);
        fprintf(d->out,
                "<path class=\"axis\" d=\"M%.1f %.1fv5\"/>"
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                x, bottom, x, bottom + 18, label);
    }
    fprintf(d->out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", d->x.from, bottom, d->x.to);
    fprintf(d->out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s%s</text>\n",
            d->x.to, bottom + 36, d->chart->x_label, d->x.log ? " (log scale)" : "");
}

static void draw_y_axis(const drawing *d)
{
    double ticks[TICKS_MAX];
    int count = rw_axis_ticks(&d->y, wanted_y_ticks(d->chart), ticks, TICKS_MAX);
    for (int i = 0; i < count; i++) {
        char label[RW_QUANTITY_SIZE];
        rw_axis_label(&d->y, ticks, count, i, label, sizeof label);
        double y = rw_axis_place(&d->y, ticks[i]);
        fprintf(d->out,
                "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>"
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                d->x.from, y, d->x.to, d->x.from - 8, y + 4, label);
    }
    fprintf(d->out, "<text class=\"name\" x=\"%.1f\" y=\"%d\">%s%s</text>\n", d->x.from, TOP - 12,
            d->chart->y_label, d->y.log ? " (log scale)" : "");
}

static void draw_marks(const drawing *d)
{
    for (size_t i = 0; i < d->chart->mark_count; i++) {
        double value = d->chart->marks[i];
        double x = rw_axis_place(&d->x, value);
        if (isnan(x) || value < d->x.low || value > d->x.high) continue;
        fprintf(d->out,
                "<path class=\"mark\" d=\"M%.1f %.1fV%.1f\"><title>resumed at step %.0f</title>"
                "</path>\n",
                x, d->y.from, d->y.to, value);
    }
}

/* A column as up to four points; a column with a single point lies at the point. */
static void draw_column(const drawing *d, int index, bool start)
{
    const rw_column *c = &d->columns[index];
    fprintf(d->out, "%c%.1f %.1f", start ? 'M' : 'L', c->x, c->first);
    if (start) fputs("h0", d->out); /* a lone point is a dot */
    if (c->count == 1) return;
    if (c->lowest < c->first) fprintf(d->out, "V%.1f", c->lowest);
    if (c->highest > c->lowest) fprintf(d->out, "V%.1f", c->highest);
    if (c->last != c->highest) fprintf(d->out, "V%.1f", c->last);
}

static void draw_points_path(const drawing *d, const char *class, int color)
{
    fprintf(d->out, "<path class=\"%s c%d\" d=\"", class, color);
    bool start = true;
    for (int i = 0; i < d->column_count; i++) {
        if (d->columns[i].gap) start = true;
        if (!d->columns[i].count) continue;
        draw_column(d, i, start);
        start = false;
    }
    fputs("\"/>\n", d->out);
}

/* Wide enough to cover a few points where there are few, at least six pixels. */
static double smoothing_width(const drawing *d, const rw_points *points)
{
    double spacing = d->column_count / (double)(points->count ? points->count : 1);
    return fmax(6, 2 * spacing);
}

static void draw_smooth(const drawing *d, const rw_series *series)
{
    rw_curve_smooth(d->columns, d->column_count, smoothing_width(d, &series->points), d->smooth);
    fprintf(d->out, "<path class=\"line c%d\" d=\"", series->color);
    bool start = true;
    for (int i = 0; i < d->column_count; i++) {
        if (d->columns[i].gap) start = true;
        if (isnan(d->smooth[i])) continue;
        double y = fmin(fmax(d->smooth[i], d->y.to), d->y.from);
        fprintf(d->out, "%c%.1f %.1f%s", start ? 'M' : 'L', d->columns[i].x, y, start ? "h0" : "");
        start = false;
    }
    fputs("\"/>\n", d->out);
}

static void draw_markers(const drawing *d, const rw_series *series)
{
    const rw_points *points = &series->points;
    for (size_t i = 0; i < points->count; i++) {
        double step = value_of(points->x, points, i), value = value_of(points->y, points, i);
        double x = rw_axis_place(&d->x, step), y = rw_axis_place(&d->y, value);
        if (isnan(x) || isnan(y)) continue;
        char text[RW_QUANTITY_SIZE];
        rw_quantity_loss(value, text, sizeof text);
        fprintf(d->out,
                "<circle class=\"point c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"><title>step %.0f: "
                "%s</title></circle>\n",
                series->color, x, y, step, text);
    }
}

static void draw_series(const drawing *d, const rw_series *series)
{
    size_t count = series->points.count;
    rw_curve_collect(&series->points, &d->x, &d->y, d->columns, d->column_count);
    if (series->draw == RW_DRAW_SMOOTH) {
        draw_points_path(d, "faint", series->color);
        draw_smooth(d, series);
    } else if (series->draw == RW_DRAW_LINE) {
        draw_points_path(d, "line", series->color);
    } else {
        draw_points_path(d, "thin", series->color);
    }
    if (count == 1 || (series->draw == RW_DRAW_POINTS && count <= MARKERS_MAX))
        draw_markers(d, series);
}

static void write_caption(const rw_chart *chart, FILE *out)
{
    fprintf(out, "<figcaption><b>%s</b>", chart->title);
    for (int s = 0; s < chart->series_count; s++) {
        const rw_series *series = &chart->series[s];
        if (!series->points.count || !*series->label) continue;
        fprintf(out, "<span class=\"key\"><i class=\"%s c%d\"></i>%s</span>",
                series->draw == RW_DRAW_POINTS ? "dot" : "bar", series->color, series->label);
    }
    if (chart->mark_count) fputs("<span class=\"key\"><i class=\"dash\"></i>resumed</span>", out);
    fputs("</figcaption>\n", out);
}

rw_status rw_chart_write(const rw_chart *chart, FILE *out)
{
    drawing d = {.chart = chart, .out = out};
    rw_status status = RW_OK;
    RW_TRY_DONE(make_axes(&d));
    d.column_count = (int)(d.x.to - d.x.from);
    RW_TRY_DONE(rw_alloc((size_t)d.column_count, sizeof *d.columns, "a chart", &d.columns));
    RW_TRY_DONE(rw_alloc((size_t)d.column_count, sizeof *d.smooth, "a chart", &d.smooth));
    fputs("<figure>\n", out);
    write_caption(chart, out);
    fprintf(out,
            "<svg viewBox=\"0 0 %.0f %.0f\" style=\"min-width:%.0fpx\" role=\"img\" "
            "aria-label=\"%s over %s\">\n",
            chart->width, chart->height, SHRINK * chart->width, chart->title, chart->x_label);
    draw_y_axis(&d);
    draw_x_axis(&d);
    draw_marks(&d);
    for (int s = 0; s < chart->series_count; s++) draw_series(&d, &chart->series[s]);
    fputs("</svg>\n</figure>\n", out);
done:
    rw_free(&d.columns);
    rw_free(&d.smooth);
    return status;
}
