#include "report/chart_axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/quantity.h"

/* The smallest of 1, 2, 5 times a power of ten that is not below `least`. */
static double round_spacing(double least)
{
    double power = pow(10, floor(log10(least)));
    double factor = least / power;
    if (factor <= 1.0001) return power;
    if (factor <= 2.0001) return 2 * power;
    if (factor <= 5.0001) return 5 * power;
    return 10 * power;
}

/* 1, 2 or 5 times a power of ten next to a positive value: below or above. */
static double round_decade(double value, bool up)
{
    double power = pow(10, floor(log10(value) + 1e-9));
    static const double factors[] = {1, 2, 5, 10};
    for (int i = 0; i < 4; i++) {
        if (up && factors[i] * power >= value * 0.9999) return factors[i] * power;
        if (!up && i < 3 && factors[i + 1] * power > value * 1.0001) return factors[i] * power;
    }
    return value;
}

rw_axis rw_axis_make(bool log, double low, double high, int ticks, double from, double to)
{
    if (!(high - low > 1e-12 * fmax(fabs(low), fabs(high)))) {
        double spread = low != 0 ? 0.05 * fabs(low) : 1;
        low -= spread;
        high += spread;
    }
    rw_axis axis = {log && low > 0 && high >= 10 * low, false, low, high, from, to};
    if (!ticks) return axis;
    if (axis.log) {
        axis.low = round_decade(low, false);
        axis.high = round_decade(high, true);
        return axis;
    }
    double spacing = round_spacing((high - low) / ticks);
    axis.low = spacing * floor(low / spacing + 1e-9);
    axis.high = spacing * ceil(high / spacing - 1e-9);
    return axis;
}

double rw_axis_place(const rw_axis *axis, double value)
{
    if (!isfinite(value) || (axis->log && value <= 0)) return NAN;
    double part = axis->log ? log(value / axis->low) / log(axis->high / axis->low)
                            : (value - axis->low) / (axis->high - axis->low);
    return axis->from + fmin(fmax(part, 0), 1) * (axis->to - axis->from);
}

static int linear_ticks(const rw_axis *axis, int wanted, double *ticks, int size)
{
    double spacing = round_spacing((axis->high - axis->low) / wanted);
    if (floor(axis->high / spacing) - ceil(axis->low / spacing) < 1) /* fewer than two */
        spacing = round_spacing((axis->high - axis->low) / (2 * wanted));
    if (axis->whole) spacing = fmax(spacing, 1);
    double first = ceil(axis->low / spacing - 1e-6);
    int count = 0;
    for (; count < size; count++) {
        double tick = (first + count) * spacing;
        if (tick > axis->high + 1e-6 * spacing) break;
        ticks[count] = tick;
    }
    return count;
}

/* 1, 2, 5 of each power of ten; powers alone once there are many. */
static int log_ticks(const rw_axis *axis, int wanted, double *ticks, int size)
{
    double decades = log10(axis->high / axis->low);
    bool fine = decades < 3 || 2 * decades <= wanted;
    int stride = (int)fmax(1, floor(decades / wanted));
    int power = (int)floor(log10(axis->low) + 1e-9);
    int count = 0;
    for (; pow(10, power) <= axis->high * (1 + 1e-9); power++) {
        for (int factor = 1; factor <= 5; factor += factor == 1 ? 1 : 3) {
            double tick = factor * pow(10, power);
            bool shown = factor == 1 ? power % stride == 0 : fine;
            if (shown && tick >= axis->low * (1 - 1e-9) && tick <= axis->high * (1 + 1e-9) &&
                count < size)
                ticks[count++] = tick;
        }
    }
    return count;
}

int rw_axis_ticks(const rw_axis *axis, int wanted, double *ticks, int size)
{
    return axis->log ? log_ticks(axis, wanted, ticks, size)
                     : linear_ticks(axis, wanted, ticks, size);
}

/* The power of a thousand of the labels: the same for all labels of a linear axis, each label's own
 * on a logarithmic axis; none up to 4,000 or 10,000. */
static int linear_thousands(double widest, double spacing)
{
    if (widest >= 1e9 && spacing >= 1e7) return 3;
    if (widest >= 1e6 && spacing >= 1e4) return 2;
    return widest >= 2e4 && spacing >= 1e2;
}

static int log_thousands(const rw_axis *axis, double value)
{
    if (axis->high < 2e4) return 0;
    return value >= 1e9 ? 3 : value >= 1e6 ? 2 : value >= 1e3;
}

void rw_axis_label(const rw_axis *axis, const double *ticks, int count, int index, char *text,
                   size_t size)
{
    double value = ticks[index];
    double spacing = axis->log ? fabs(value) : count > 1 ? ticks[1] - ticks[0] : 1;
    double widest = axis->log ? fabs(value) : fmax(fabs(axis->low), fabs(axis->high));
    if (value == 0) {
        snprintf(text, size, "0");
        return;
    }
    if (widest < 1e-3) {
        double digits = floor(log10(fabs(value)) + 1e-9) - floor(log10(spacing) + 1e-9) + 1;
        rw_quantity_exponent(value, (int)fmin(fmax(digits, 1), 9), text, size);
        return;
    }
    int thousands = axis->log ? log_thousands(axis, value) : linear_thousands(widest, spacing);
    double unit = pow(1000, thousands);
    static const char *const suffixes[] = {"", "k", "M", "G"};
    int decimals = (int)fmax(0, ceil(-log10(spacing / unit) - 1e-6));
    rw_quantity_grouped(value / unit, decimals, text, size);
    strncat(text, suffixes[thousands], size - strlen(text) - 1);
}
