/* The convolution of convolution.h on FFTW's real transforms, channel by
 * channel: what it is compared with, and an alternative where a vendor's
 * library with FFTW's interface is better. Same arguments, but a plan that is
 * created outside step time, and its own layout of spectrum and scratch. */
#ifndef RW_CONVOLUTION_FFTW_H
#define RW_CONVOLUTION_FFTW_H

#include <stddef.h>

#include "base/status.h"
#include "tensor/real.h"

typedef struct rw_conv_fftw rw_conv_fftw;

/* Plans for a chunk of T tokens (>= 1). With `measure` FFTW times its
 * algorithms (up to seconds): the plan, hence the last bits of results, may
 * differ between runs and ranks. Without, it depends on T alone. Fails when
 * FFTW has no plan. Not thread-safe, as FFTW's planner is not; the functions
 * below are. Not collective. The caller destroys it. */
rw_status rw_conv_fftw_new(int chunk, int measure, rw_conv_fftw **out);
void rw_conv_fftw_destroy(rw_conv_fftw **plan);

size_t rw_conv_fftw_spectrum_reals(int chunk, int channels);
size_t rw_conv_fftw_scratch_reals(int chunk);

/* Spectrum of kernel (T, channels) dense. */
void rw_conv_fftw_transform(const rw_conv_fftw *plan, int channels, const real *kernel,
                            real *spectrum, real *scratch);

/* y (+)= conv(x, kernel), x and y (rows, channels), rows <= T. */
void rw_conv_fftw_forward(const rw_conv_fftw *plan, int channels, int rows, const real *spectrum,
                          const real *x, int ldx, real *y, int ldy, int add, real *scratch);
#endif
