/* Causal depthwise convolution of one chunk with a few taps a channel, SiLU
 * fused: what stands before the recurrence of a state-space block.
 *
 *   p[t][c] = bias[c] + sum_{k<K} weight[c][k] x[t - (K-1) + k][c],   y = p or silu(p)
 *
 * The last tap is the token itself. Rows before the chunk, -(K-1) <= t < 0, are
 * `before` (K-1, channels) dense; NULL stands for zeros. Arrays row-major,
 * channel contiguous, leading dimension in reals. Kernels are pure: no
 * allocation, no I/O, no globals. */
#ifndef RW_DEPTHWISE_H
#define RW_DEPTHWISE_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

typedef struct {
    int rows, channels, taps; /* taps K >= 1 */
    bool silu;
    const real *weight; /* (channels, K) */
    const real *bias;   /* (channels) */
    const real *before;
    const real *x;
    int ldx;
} rw_depthwise;

/* Reals of scratch, for any number of rows and channels. */
size_t rw_depthwise_scratch_reals(int taps);

/* y (rows, channels). */
void rw_depthwise_forward(const rw_depthwise *conv, real *y, int ldy, real *scratch);

/* The outputs. NULL: not wanted. */
typedef struct {
    real *x; /* (rows, channels): written, or added to if `add` */
    int ldx;
    bool add;
    real *weight, *bias; /* added to; both or neither */
    real *before;        /* (K-1, channels): written */
} rw_depthwise_grad;

/* From dy (rows, channels). `after` (K-1, channels), NULL for zeros, is the
 * gradient that later chunks send to the last K-1 rows of x; it is added there. */
void rw_depthwise_backward(const rw_depthwise *conv, const real *dy, int lddy, const real *after,
                           const rw_depthwise_grad *grad, real *scratch);

/* The last K-1 rows up to the chunk's end, (K-1, channels) dense: what the next
 * chunk calls `before`. */
void rw_depthwise_tail(const rw_depthwise *conv, real *tail);

#endif
