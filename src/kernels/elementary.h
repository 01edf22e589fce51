/* Elementary functions that compilers vectorise: branch-free, inline. In the
 * float build they are polynomials with errors of a few units in the last
 * place; in the double build they are libm's. */
#ifndef RW_ELEMENTARY_H
#define RW_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tensor/real.h"

#ifndef RW_DOUBLE
/* Where rw_exp saturates. Variables to whoever includes this, on purpose: given the
 * numbers, gcc follows "x was below" through to the end of the loop, works out what comes
 * of it, and then each element pays for both ways, the other one often in subnormal
 * numbers. Given variables it takes a maximum and a minimum. */
extern const float rw_exp_least, rw_exp_most, rw_exp2_least;

/* 1.5 2^23: added to a number, it leaves the nearest integer in the lowest bits. */
#define RW_ROUND 12582912.0f

/* p 2^k, where n = RW_ROUND + k: k is added to the exponent of p. */
static inline float rw_times_power(float p, float n)
{
    int32_t k, bits;
    memcpy(&k, &n, sizeof k);
    memcpy(&bits, &p, sizeof bits);
    bits += (int32_t)((uint32_t)k << 23);
    memcpy(&p, &bits, sizeof p);
    return p;
}
#endif

/* e^x. Float: Cody-Waite reduction, degree-6 polynomial (Cephes expf); below
 * -87 it goes to 0 (about 1e-38), above 88 it saturates. */
static inline real rw_exp(real x)
{
#ifdef RW_DOUBLE
    return exp(x);
#else
    x = x < rw_exp_least ? rw_exp_least : x;
    x = x > rw_exp_most ? rw_exp_most : x;
    const float n = x * 1.44269504f + RW_ROUND, k = n - RW_ROUND;
    const float r = x - k * 0.693359375f + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return rw_times_power(p, n);
#endif
}

#ifndef RW_DOUBLE
/* 2^r, -1/2 <= r <= 1/2: degree-5 polynomial, minimax for relative errors with 2^0 = 1. */
static inline float rw_exp2_fraction(float r)
{
    float p = 1.32647273e-3f;
    p = p * r + 9.67151299e-3f;
    p = p * r + 5.55073358e-2f;
    p = p * r + 2.40222424e-1f;
    p = p * r + 6.93147004e-1f;
    return p * r + 1.0f;
}
#endif

/* 2^x for x up to 127 (unchecked in the float build); below -126 it goes to 0 (about 1e-38).
 * Cheaper than e^x: no reduction is needed. Relative error 2e-7. */
static inline real rw_exp2(real x)
{
#ifdef RW_DOUBLE
    return exp2(x);
#else
    x = x < rw_exp2_least ? rw_exp2_least : x;
    const float n = x + RW_ROUND, r = x - (n - RW_ROUND);
    return rw_times_power(rw_exp2_fraction(r), n);
#endif
}

/* 2^(x + rest), from -126 to 127, of which the float build makes no check, for a rest so small
 * that x + rest may round to x: as exact as rw_exp2 of a small number, however large x is. */
static inline real rw_exp2_of_sum(real x, real rest)
{
#ifdef RW_DOUBLE
    return exp2(x) * exp2(rest);
#else
    const float n = x + RW_ROUND, r = x - (n - RW_ROUND);
    return rw_times_power(rw_exp2_fraction(r + rest), n);
#endif
}

/* 1 / (1 + e^-x) */
static inline real rw_sigmoid(real x)
{
    return 1 / (1 + rw_exp(-x));
}

/* tanh x, as 2 sigmoid(2x) - 1; absolute error of a few 1e-7 in float. */
static inline real rw_tanh(real x)
{
#ifdef RW_DOUBLE
    return tanh(x);
#else
    return 2 / (1 + rw_exp(-2 * x)) - 1;
#endif
}

/* log(1 + e^x) = max(x, 0) + log(1 + u) with u = e^-|x| <= 1, which does not
 * overflow. Float: log(1 + u) = 2 artanh(s), s = u / (2 + u) <= 1/3, by its
 * series up to s^13. */
static inline real rw_softplus_value(real x)
{
#ifdef RW_DOUBLE
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
#else
    const float u = rw_exp(-fabsf(x));
    const float s = u / (2 + u), q = s * s;
    float p = 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    p = p * q + 1.0f;
    return (x > 0 ? x : 0) + 2 * s * p;
#endif
}

/* sin r, |r| <= pi/2 (float only): odd polynomial of degree 9, as in SLEEF. */
static inline float rw_sine_polynomial(float r)
{
    const float s = r * r;
    float p = 2.6083159809786593e-6f;
    p = p * s - 1.981069071916863e-4f;
    p = p * s + 8.333078585560095e-3f;
    p = p * s - 0.1666665971276644f;
    return r + r * s * p;
}

/* x - k pi/2, pi/2 in three parts; |x| up to some 10^4. */
static inline float rw_less_quarters(float x, float k)
{
    x -= k * (3.1414794921875f / 2);
    x -= k * (1.1315941810607910e-4f / 2);
    return x - k * (1.9841872589410059e-9f / 2);
}

/* sin x. Float: x = n pi + r, sin x = (-1)^n sin r. */
static inline real rw_sine_value(real x)
{
#ifdef RW_DOUBLE
    return sin(x);
#else
    float n = x * 0.318309886f + RW_ROUND;
    uint32_t k;
    memcpy(&k, &n, sizeof k);
    float s = rw_sine_polynomial(rw_less_quarters(x, 2 * (n - RW_ROUND)));
    return k & 1 ? -s : s;
#endif
}

/* cos x. Float: x = (n + 1/2) pi + r, cos x = -(-1)^n sin r. */
static inline real rw_cosine_value(real x)
{
#ifdef RW_DOUBLE
    return cos(x);
#else
    float n = x * 0.318309886f - 0.5f + RW_ROUND;
    uint32_t k;
    memcpy(&k, &n, sizeof k);
    float s = rw_sine_polynomial(rw_less_quarters(x, 2 * (n - RW_ROUND) + 1));
    return k & 1 ? s : -s;
#endif
}

#endif
