/* Causal convolution of one chunk with a kernel per channel, by FFT across
 * channels: one vector lane a channel, n complex points for n tokens, neither
 * reordering nor padding (convolution.c has the algebra).
 *
 *   y[t][d] = sum_{s<=t} kernel[t-s][d] x[s][d],   0 <= t < rows <= chunk
 *
 * All arrays row-major (time, channel), channel contiguous, leading dimension
 * in reals. Kernels are pure: no allocation, no I/O, no globals. y may be x
 * (dx may be dy); otherwise arrays do not overlap. Any alignment gives the same
 * bits; spectrum and scratch are fastest on RW_ALIGNMENT.
 * Channels are treated in groups; the result for a channel does not depend on
 * which other channels or how many are computed. */
#ifndef RW_CONVOLUTION_H
#define RW_CONVOLUTION_H

#include <stddef.h>

#include "tensor/real.h"

/* Tables for a chunk of T tokens (a power of two, >= 1): twiddle factors.
 * rw_conv_plan_reals(T) reals, filled by _init. */
size_t rw_conv_plan_reals(int chunk);
void rw_conv_plan_init(int chunk, real *plan);

/* Reals that the spectrum of a kernel (T, channels) takes, and scratch that
 * one call of forward or backward needs. */
size_t rw_conv_spectrum_reals(int chunk, int channels);
size_t rw_conv_scratch_reals(int chunk, int channels);

/* Spectrum of channels [begin, end) of kernel (T, channels) dense; `spectrum` is
 * that of all channels, so that threads can share the work. begin and end are
 * multiples of RW_CONV_GROUP, or end is `channels`. */
#define RW_CONV_GROUP (2 * RW_LANES)
void rw_conv_transform(int chunk, const real *plan, int channels, int begin, int end,
                       const real *kernel, real *spectrum, real *scratch);

/* y (+)= conv(x, kernel); `add` accumulates. rows <= T. */
void rw_conv_forward(int chunk, const real *plan, int channels, int rows, const real *spectrum,
                     const real *x, int ldx, real *y, int ldy, int add, real *scratch);

/* dx (+)= correlation(dy, kernel): dx[s] = sum_{t>=s, t<rows} kernel[t-s] dy[t]. */
void rw_conv_backward(int chunk, const real *plan, int channels, int rows, const real *spectrum,
                      const real *dy, int ldy, real *dx, int ldx, int add, real *scratch);

/* dkernel[j] += sum_t dy[t] x[t-j], 0 <= j < T: (T, channels) dense. */
void rw_conv_backward_kernel(int chunk, const real *plan, int channels, int rows, const real *x,
                             int ldx, const real *dy, int ldy, real *dkernel, real *scratch);

/* The naive sums, for tests: same arguments without spectrum and scratch. */
void rw_conv_reference(int chunk, int channels, int rows, const real *kernel, const real *x,
                       int ldx, real *y, int ldy);
#endif
