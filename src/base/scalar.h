/* The value of a scalar in a configuration or an option. All functions: not collective; false if
 * the text is not of the type. */
#ifndef RW_SCALAR_H
#define RW_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

/* 64-bit: -12, 1_000, and 4k, 2M, 1G (x1024, x1024^2, x1024^3). */
bool rw_scalar_int(const char *text, int64_t *out);
/* The same, and decimal fractions: 3.0e-3, .5, 1_000.25. Finite. */
bool rw_scalar_real(const char *text, double *out);
/* true, false */
bool rw_scalar_bool(const char *text, bool *out);

#endif
