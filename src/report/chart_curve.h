/* A series of any length, reduced to a column for each pixel and smoothed there. Pure functions;
 * nothing is allocated. */
#ifndef RW_CHART_CURVE_H
#define RW_CHART_CURVE_H

#include <stdbool.h>
#include <stddef.h>

#include "report/chart_axis.h"

/* Points (x[i * stride], y[i * stride]), i < count; x does not decrease. */
typedef struct {
    const double *x, *y;
    size_t count, stride;
} rw_points;

/* The values in a pixel column, in pixels of the y axis. With first, lowest, highest and last value
 * a curve drawn from columns looks like the whole series. */
typedef struct {
    size_t count; /* finite points */
    bool gap;     /* only points without a place: the curve is interrupted */
    double x;     /* of the first point */
    double sum, first, last, lowest, highest;
} rw_column;

/* Fills `columns` (count of them, over the x axis' pixels). */
void rw_curve_collect(const rw_points *points, const rw_axis *x, const rw_axis *y,
                      rw_column *columns, int count);

/* Smooths the means of the columns by a local linear fit with a Gaussian weight of `width` columns
 * (Cleveland 1979, "Robust locally weighted regression"; the plain fit, which unlike a moving
 * average keeps the slope at both ends). smooth[i] is NaN for a column without points. */
void rw_curve_smooth(const rw_column *columns, int count, double width, double *smooth);

#endif
