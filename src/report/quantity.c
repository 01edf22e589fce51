#include "report/quantity.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DASH "\u2013"

static bool dash(double value, char *text, size_t size)
{
    if (isfinite(value)) return false;
    snprintf(text, size, DASH);
    return true;
}

void rw_quantity_grouped(double value, int decimals, char *text, size_t size)
{
    if (dash(value, text, size)) return;
    char plain[RW_QUANTITY_SIZE];
    if (snprintf(plain, sizeof plain, "%.*f", decimals, fabs(value)) > 24) {
        rw_quantity_exponent(value, 2, text, size);
        return;
    }
    size_t whole = strcspn(plain, ".");
    char out[RW_QUANTITY_SIZE];
    size_t used = 0;
    if (value < 0 && strspn(plain, "0.") < strlen(plain)) out[used++] = '-';
    for (size_t i = 0; plain[i]; i++) {
        if (i && i < whole && (whole - i) % 3 == 0) out[used++] = ',';
        out[used++] = plain[i];
    }
    out[used] = '\0';
    snprintf(text, size, "%s", out);
}

void rw_quantity_short(double value, char *text, size_t size)
{
    if (dash(value, text, size)) return;
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    int unit = 0;
    while (fabs(value) >= 999.5 && unit < 5) {
        value /= 1000;
        unit++;
    }
    if (value != 0 && fabs(value) < 1e-3) {
        rw_quantity_exponent(value, 2, text, size);
        return;
    }
    if (unit && fabs(value) < 99.95) /* 3.00M tells more than 3M */
        snprintf(text, size, "%.*f%s", fabs(value) < 9.995 ? 2 : 1, value, units[unit]);
    else
        snprintf(text, size, "%.3g%s", value, units[unit]);
}

void rw_quantity_exponent(double value, int digits, char *text, size_t size)
{
    if (dash(value, text, size)) return;
    int power = value != 0 ? (int)floor(log10(fabs(value)) + 1e-9) : 0;
    double factor = value / pow(10, power);
    if (fabs(factor) >= 10 - 0.5 * pow(10, 1 - digits)) { /* rounds up to 10 */
        factor /= 10;
        power++;
    }
    snprintf(text, size, "%.*ge%d", digits, factor, power);
}

void rw_quantity_loss(double value, char *text, size_t size)
{
    if (dash(value, text, size)) return;
    if (value != 0 && fabs(value) < 0.01)
        rw_quantity_exponent(value, 2, text, size);
    else if (fabs(value) < 100)
        snprintf(text, size, "%.4f", value);
    else
        rw_quantity_short(value, text, size);
}

void rw_quantity_time(double seconds, char *text, size_t size)
{
    if (dash(seconds, text, size)) return;
    if (fabs(seconds) > 1e10) {
        rw_quantity_exponent(seconds, 2, text, size);
        strncat(text, " s", size - strlen(text) - 1);
    } else if (seconds < 0.0995)
        snprintf(text, size, "%.2g ms", seconds * 1e3);
    else if (seconds < 59.95)
        snprintf(text, size, "%.*f s", seconds < 9.95 ? 2 : 1, seconds);
    else if (seconds < 3599.5) {
        int whole = (int)lround(seconds);
        snprintf(text, size, "%d min %d s", whole / 60, whole % 60);
    } else if (seconds < 86400 - 30) {
        int minutes = (int)lround(seconds / 60);
        snprintf(text, size, "%d h %d min", minutes / 60, minutes % 60);
    } else {
        double hours = round(seconds / 3600);
        snprintf(text, size, "%.0f d %.0f h", floor(hours / 24), fmod(hours, 24));
    }
}
