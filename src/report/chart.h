/* Line charts as SVG inside an HTML page: axes with round ticks, any number of points. Colours come
 * from the page's style (classes c1, c2, ...; grid, tick, faint, point), so that a chart serves
 * light and dark pages. */
#ifndef RW_CHART_H
#define RW_CHART_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"
#include "report/chart_curve.h"

typedef enum {
    RW_DRAW_LINE,   /* every point */
    RW_DRAW_SMOOTH, /* every point faintly, and a smoothed line */
    RW_DRAW_POINTS, /* markers joined by a thin line, with their values */
} rw_draw;

typedef struct {
    const char *label; /* in the legend; "": not there */
    rw_draw draw;
    int color; /* 1, 2, ... */
    rw_points points;
} rw_series;

typedef struct {
    const char *title;
    const char *x_label, *y_label; /* x counts: its ticks are whole numbers */
    double width, height;          /* pixels */
    bool log_x;
    bool from_zero; /* the y axis starts at 0; otherwise it fits the values, and
                       is logarithmic if they range over more than two decades */
    const rw_series *series;
    int series_count;
    const double *marks; /* x of vertical lines */
    size_t mark_count;
} rw_chart;

/* Has a series a finite value? Other charts are not drawn. */
bool rw_chart_has_points(const rw_chart *chart);

/* Writes the chart as a <figure> with its title and legend. Not collective.
 * Errors: RW_ERROR without memory; those of `out` are left to ferror(). */
rw_status rw_chart_write(const rw_chart *chart, FILE *out);

#endif
