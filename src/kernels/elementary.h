/* Elementary functions that compilers vectorise: branch-free, inline. In the
 * float build they are polynomials with errors of a few units in the last
 * place; in the double build they are libm's. */
#ifndef RW_ELEMENTARY_H
#define RW_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tensor/real.h"

/* e^x. Float: Cody-Waite reduction, degree-6 polynomial (Cephes expf); below
 * -87 it goes to 0 (about 1e-38), above 88 it saturates. */
static inline real rw_exp(real x)
{
#ifdef RW_DOUBLE
    return exp(x);
#else
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = x * 1.44269504f + 12582912.0f; /* round to nearest by adding 1.5 2^23 */
    int32_t k;
    memcpy(&k, &n, sizeof k);
    n -= 12582912.0f;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (int32_t)((uint32_t)k << 23);
    memcpy(&p, &bits, sizeof p);
    return p;
#endif
}

/* 1 / (1 + e^-x) */
static inline real rw_sigmoid(real x) { return 1 / (1 + rw_exp(-x)); }

/* tanh x, as 2 sigmoid(2x) - 1; absolute error of a few 1e-7 in float. */
static inline real rw_tanh(real x)
{
#ifdef RW_DOUBLE
    return tanh(x);
#else
    return 2 / (1 + rw_exp(-2 * x)) - 1;
#endif
}

/* log(1 + e^x), without overflow. Float: with u = e^-|x|, log(1 + u) is the series
 * of 2 artanh(s), s = u / (2 + u) <= 1/3; relative accuracy also where it is small. */
static inline real rw_softplus_value(real x)
{
#ifdef RW_DOUBLE
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
#else
    float u = rw_exp(x > 0 ? -x : x), s = u / (2 + u), q = s * s;
    float p = 1.0f / 15;
    p = p * q + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    p = p * q + 1.0f;
    return (x > 0 ? x : 0) + 2 * s * p;
#endif
}

#endif
