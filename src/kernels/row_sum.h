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

static inline rw_vector rw_load(const real *x)
{
    return *(const rw_vector_unaligned *)x;
}

/* Adds the accumulators pairwise: k and k + half, for halves of halves. */
static inline real rw_sum_lanes(real lane[RW_SUM_LANES])
{
    for (int half = RW_SUM_LANES / 2; half >= 1; half /= 2)
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    return lane[0];
}

/* sum_i x[i] */
static inline real rw_row_sum(int n, const real *x)
{
    rw_vector sum[RW_SUM_VECTORS] = {{0}};
    real lane[RW_SUM_LANES];
    int i = 0;
    for (; i + RW_SUM_LANES <= n; i += RW_SUM_LANES)
        for (int k = 0; k < RW_SUM_VECTORS; k++) sum[k] += rw_load(x + i + k * RW_LANES);
    memcpy(lane, sum, sizeof lane);
    for (int k = 0; i + k < n; k++) lane[k] += x[i + k];
    return rw_sum_lanes(lane);
}

/* sum_i x[i] y[i] */
static inline real rw_row_dot(int n, const real *x, const real *y)
{
    rw_vector sum[RW_SUM_VECTORS] = {{0}};
    real lane[RW_SUM_LANES];
    int i = 0;
    for (; i + RW_SUM_LANES <= n; i += RW_SUM_LANES)
        for (int k = 0; k < RW_SUM_VECTORS; k++)
            sum[k] += rw_load(x + i + k * RW_LANES) * rw_load(y + i + k * RW_LANES);
    memcpy(lane, sum, sizeof lane);
    for (int k = 0; i + k < n; k++) lane[k] += x[i + k] * y[i + k];
    return rw_sum_lanes(lane);
}

#endif
