#include "base/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t unit_of(char suffix)
{
    switch (suffix) {
    case 'k':
    case 'K':
        return INT64_C(1) << 10;
    case 'M':
        return INT64_C(1) << 20;
    case 'G':
        return INT64_C(1) << 30;
    default:
        return 0;
    }
}

bool rw_scalar_int(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    const char *at = text + (*text == '-' || *text == '+');
    if (!is_digit(*at)) return false;
    int64_t value = 0;
    for (; is_digit(*at) || (*at == '_' && is_digit(at[-1]) && is_digit(at[1])); at++) {
        if (*at == '_') continue;
        int digit = *at - '0'; /* counted downwards: the range of int64 reaches further there */
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (*at != '\0') {
        int64_t unit = unit_of(*at);
        if (!unit || at[1] != '\0' || __builtin_mul_overflow(value, unit, &value)) return false;
    }
    if (!negative && __builtin_sub_overflow(INT64_C(0), value, &value)) return false;
    *out = value;
    return true;
}

/* Copies a decimal fraction without its underscores; false if it is none.
 * Stricter than strtod: no inf, nan, hexadecimal or spaces. */
static bool copy_decimal(const char *text, char *out, size_t size)
{
    size_t used = 0, digits = 0;
    bool point = false, exponent = false;
    for (const char *at = text; *at; at++) {
        if (*at == '_' && at > text && is_digit(at[-1]) && is_digit(at[1])) continue;
        bool starts = at == text || at[-1] == 'e' || at[-1] == 'E';
        if (is_digit(*at)) {
            digits++;
        } else if (*at == '.' && !point && !exponent) {
            point = true;
        } else if ((*at == 'e' || *at == 'E') && digits > 0 && !exponent) {
            exponent = true;
            digits = 0; /* the exponent needs some as well */
        } else if (!((*at == '-' || *at == '+') && starts)) {
            return false;
        }
        if (used + 1 == size) return false;
        out[used++] = *at;
    }
    out[used] = '\0';
    return digits > 0;
}

bool rw_scalar_real(const char *text, double *out)
{
    int64_t whole;
    if (rw_scalar_int(text, &whole)) {
        *out = (double)whole;
        return true;
    }
    char decimal[64];
    if (!copy_decimal(text, decimal, sizeof decimal)) return false;
    double value = strtod(decimal, NULL);
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}

bool rw_scalar_bool(const char *text, bool *out)
{
    *out = strcmp(text, "true") == 0;
    return *out || strcmp(text, "false") == 0;
}
