#include "kernels/convolution_fftw.h"

#include <fftw3.h>

#include "base/memory.h"

#ifdef RW_DOUBLE
#define FFTW(name) fftw_##name
#else
#define FFTW(name) fftwf_##name
#endif

/* Transforms of 2T points, zeros in the upper half, out of place and of arrays
 * aligned to a real only (they are slices of the caller's). */
struct rw_conv_fftw {
    int chunk;
    FFTW(plan) forward;
    FFTW(plan) inverse;
};

/* Real numbers of T + 1 complex points. */
static size_t half_spectrum(int chunk)
{
    return 2 * ((size_t)chunk + 1);
}

size_t rw_conv_fftw_spectrum_reals(int chunk, int channels)
{
    return half_spectrum(chunk) * (size_t)channels;
}

/* A padded channel and its spectrum. */
size_t rw_conv_fftw_scratch_reals(int chunk)
{
    return 2 * (size_t)chunk + half_spectrum(chunk);
}

rw_status rw_conv_fftw_new(int chunk, int measure, rw_conv_fftw **out)
{
    rw_status status = RW_OK;
    real *scratch = NULL;
    unsigned flags = FFTW_UNALIGNED | (measure ? FFTW_MEASURE : FFTW_ESTIMATE);
    rw_conv_fftw *plan = NULL;
    RW_TRY_DONE(rw_alloc(1, sizeof *plan, "FFTW convolution plan", &plan));
    RW_TRY_DONE(rw_alloc(rw_conv_fftw_scratch_reals(chunk), sizeof(real), "FFTW planning scratch",
                         &scratch));
    FFTW(complex) *points = (FFTW(complex) *)(scratch + 2 * (size_t)chunk);
    plan->chunk = chunk;
    plan->forward = FFTW(plan_dft_r2c_1d)(2 * chunk, scratch, points, flags);
    plan->inverse = FFTW(plan_dft_c2r_1d)(2 * chunk, points, scratch, flags);
    if (!plan->forward || !plan->inverse)
        status = rw_fail(RW_ERROR,
                         "FFTW has no plan for a chunk of %d tokens: "
                         "model.chunk must be a positive power of two",
                         chunk);
done:
    if (status != RW_OK) rw_conv_fftw_destroy(&plan);
    rw_free(&scratch);
    *out = plan;
    return status;
}

void rw_conv_fftw_destroy(rw_conv_fftw **plan)
{
    if (!*plan) return;
    if ((*plan)->forward) FFTW(destroy_plan)((*plan)->forward);
    if ((*plan)->inverse) FFTW(destroy_plan)((*plan)->inverse);
    rw_free(plan);
}

/* Rows of one channel, padded with zeros, to `points`. */
static void transform_channel(const rw_conv_fftw *plan, int rows, const real *x, int ldx,
                              real *points, real *padded)
{
    for (int row = 0; row < rows; row++) padded[row] = x[(ptrdiff_t)row * ldx];
    for (int row = rows; row < 2 * plan->chunk; row++) padded[row] = 0;
    FFTW(execute_dft_r2c)(plan->forward, padded, (FFTW(complex) *)points);
}

void rw_conv_fftw_transform(const rw_conv_fftw *plan, int channels, const real *kernel,
                            real *spectrum, real *scratch)
{
    size_t size = half_spectrum(plan->chunk);
    real scale = (real)1 / (real)(2 * plan->chunk);
    for (int c = 0; c < channels; c++, spectrum += size) {
        transform_channel(plan, plan->chunk, kernel + c, channels, spectrum, scratch);
        for (size_t i = 0; i < size; i++) spectrum[i] *= scale;
    }
}

static void multiply(size_t reals, real *z, const real *spectrum)
{
    for (size_t i = 0; i < reals; i += 2) {
        real re = z[i], im = z[i + 1];
        z[i] = re * spectrum[i] - im * spectrum[i + 1];
        z[i + 1] = re * spectrum[i + 1] + im * spectrum[i];
    }
}

void rw_conv_fftw_forward(const rw_conv_fftw *plan, int channels, int rows, const real *spectrum,
                          const real *x, int ldx, real *y, int ldy, int add, real *scratch)
{
    size_t size = half_spectrum(plan->chunk);
    real *padded = scratch, *points = scratch + 2 * (size_t)plan->chunk;
    for (int c = 0; c < channels; c++, spectrum += size) {
        transform_channel(plan, rows, x + c, ldx, points, padded);
        multiply(size, points, spectrum);
        FFTW(execute_dft_c2r)(plan->inverse, (FFTW(complex) *)points, padded);
        for (int row = 0; row < rows; row++) {
            real *at = y + (ptrdiff_t)row * ldy + c;
            *at = padded[row] + (add ? *at : 0);
        }
    }
}
