/* Sums over one row of a matrix. Element i goes to accumulator i mod
 * RW_SUM_LANES, the accumulators are added pairwise: an order that depends on
 * n alone, not on addresses, on the compiler's choice of a vector width, or on
 * the instruction set, and that leaves several additions in flight. */
#ifndef RW_ROW_SUM_H
#define RW_ROW_SUM_H

#include <string.h>

#include "tensor/real.h"

#define RW_SUM_LANES   32
#define RW_SUM_VECTORS (RW_SUM_LANES / RW_LANES)

/* The accumulators stay in registers: a sum that passes through memory waits for its own stores. */
typedef struct {
    rw_vector vector[RW_SUM_VECTORS];
} rw_row_total;

typedef real rw_vector_32 __attribute__((vector_size(32)));
typedef real rw_vector_16 __attribute__((vector_size(16)));

static inline rw_vector rw_load(const real *x)
{
    return *(const rw_vector_unaligned *)x;
}

static inline real rw_sum_16(rw_vector_16 v)
{
#ifdef RW_DOUBLE
    return v[0] + v[1];
#else
    return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

static inline real rw_sum_32(rw_vector_32 v)
{
    rw_vector_16 half[2];
    memcpy(half, &v, sizeof v);
    return rw_sum_16(half[0] + half[1]);
}

/* Lanes k and k + half, for halves of halves. */
static inline real rw_sum_lanes(rw_vector v)
{
#if RW_VECTOR_BYTES == 64
    rw_vector_32 half[2];
    memcpy(half, &v, sizeof v);
    return rw_sum_32(half[0] + half[1]);
#elif RW_VECTOR_BYTES == 32
    return rw_sum_32(v);
#else
    return rw_sum_16(v);
#endif
}

static inline real rw_row_total_sum(rw_row_total total)
{
    for (int half = RW_SUM_VECTORS / 2; half >= 1; half /= 2)
        for (int k = 0; k < half; k++) total.vector[k] += total.vector[k + half];
    return rw_sum_lanes(total.vector[0]);
}

/* sum_i x[i] */
static inline real rw_row_sum(int n, const real *x)
{
    rw_row_total total = {{{0}}};
    real rest[RW_LANES] = {0};
    int i = 0, k = 0;
    for (; i + RW_SUM_LANES <= n; i += RW_SUM_LANES)
        for (int v = 0; v < RW_SUM_VECTORS; v++) total.vector[v] += rw_load(x + i + v * RW_LANES);
    for (; i + RW_LANES <= n; i += RW_LANES) total.vector[k++] += rw_load(x + i);
    if (i == n) return rw_row_total_sum(total);
    for (int lane = 0; i < n; lane++, i++) rest[lane] += x[i];
    total.vector[k] += rw_load(rest);
    return rw_row_total_sum(total);
}

/* sum_i x[i] y[i] */
static inline real rw_row_dot(int n, const real *x, const real *y)
{
    rw_row_total total = {{{0}}};
    real rest[RW_LANES] = {0};
    int i = 0, k = 0;
    for (; i + RW_SUM_LANES <= n; i += RW_SUM_LANES)
        for (int v = 0; v < RW_SUM_VECTORS; v++)
            total.vector[v] += rw_load(x + i + v * RW_LANES) * rw_load(y + i + v * RW_LANES);
    for (; i + RW_LANES <= n; i += RW_LANES) total.vector[k++] += rw_load(x + i) * rw_load(y + i);
    if (i == n) return rw_row_total_sum(total);
    for (int lane = 0; i < n; lane++, i++) rest[lane] += x[i] * y[i];
    total.vector[k] += rw_load(rest);
    return rw_row_total_sum(total);
}

#endif
