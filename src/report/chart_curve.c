#include "report/chart_curve.h"

#include <math.h>
#include <string.h>

static void add(rw_column *column, double x, double y)
{
    if (!column->count) {
        column->x = x;
        column->first = column->lowest = column->highest = y;
    }
    column->last = y;
    column->lowest = fmin(column->lowest, y);
    column->highest = fmax(column->highest, y);
    column->sum += y;
    column->count++;
    column->gap = false;
}

void rw_curve_collect(const rw_points *points, const rw_axis *x, const rw_axis *y,
                      rw_column *columns, int count)
{
    memset(columns, 0, (size_t)count * sizeof *columns);
    for (size_t i = 0; i < points->count; i++) {
        double across = rw_axis_place(x, points->x[i * points->stride]);
        double up = rw_axis_place(y, points->y[i * points->stride]);
        if (isnan(across)) continue;
        int index = (int)((across - x->from) / (x->to - x->from) * count);
        rw_column *column = &columns[index < count ? index : count - 1];
        if (!isnan(up))
            add(column, across, up);
        else if (!column->count)
            column->gap = true;
    }
}

/* Weighted fit of a line around column `centre`; its value there. */
static double fit(const rw_column *columns, int count, double width, int centre)
{
    int reach = (int)ceil(3 * width);
    double s0 = 0, s1 = 0, s2 = 0, t0 = 0, t1 = 0; /* sums of w, wd, wdd, wy, wdy */
    for (int i = centre - reach; i <= centre + reach; i++) {
        if (i < 0 || i >= count || !columns[i].count) continue;
        double distance = i - centre;
        double weight = exp(-0.5 * distance * distance / (width * width));
        double mean = columns[i].sum / (double)columns[i].count;
        weight *= (double)columns[i].count;
        s0 += weight;
        s1 += weight * distance;
        s2 += weight * distance * distance;
        t0 += weight * mean;
        t1 += weight * distance * mean;
    }
    double determinant = s0 * s2 - s1 * s1;
    if (determinant < 1e-9 * s0 * s0) return t0 / s0; /* a column */
    return (s2 * t0 - s1 * t1) / determinant;
}

void rw_curve_smooth(const rw_column *columns, int count, double width, double *smooth)
{
    for (int i = 0; i < count; i++)
        smooth[i] = columns[i].count ? fit(columns, count, width, i) : NAN;
}
