/* An axis of a chart: places of values, and ticks at round numbers. Pure functions; nothing is
 * allocated. */
#ifndef RW_CHART_AXIS_H
#define RW_CHART_AXIS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    bool log;         /* logarithmic */
    bool whole;       /* ticks at whole numbers only, such as steps */
    double low, high; /* values at the two ends, low < high; if log, 0 < low */
    double from, to;  /* pixels of the two ends */
} rw_axis;

/* An axis from pixel `from` to `to` for low..high (any finite numbers; equal numbers are spread).
 * Logarithmic only if `log` is asked for and both are positive and at least a decade apart. With
 * `ticks` wanted, the ends move out to ticks; with 0 they stay. */
rw_axis rw_axis_make(bool log, double low, double high, int ticks, double from, double to);

/* The pixel of a value, clamped to the ends; NaN for a value without a place (not finite; not
 * positive on a logarithmic axis). */
double rw_axis_place(const rw_axis *axis, double value);

/* Fills `ticks` with at most `size` (>= 2) round values, about `wanted` of
 * them, and returns their number. */
int rw_axis_ticks(const rw_axis *axis, int wanted, double *ticks, int size);

/* Text for the tick `ticks[index]`, as short as the spacing allows: "2.5",
 * "4,000", "120k", "3e-4". */
void rw_axis_label(const rw_axis *axis, const double *ticks, int count, int index, char *text,
                   size_t size);

#endif
