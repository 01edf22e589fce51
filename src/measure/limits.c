#include "measure/limits.h"

#include <cblas.h>
#include <fftw3.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/float_mode.h"
#include "base/memory.h"
#include "kernels/rounded_product.h"
#include "measure/rounds.h"
#include "tensor/real.h"

/* ---- Products -------------------------------------------------------------- */

enum { GEMM_M = 512, GEMM_N = 512, GEMM_K = 1024 };

static bool allocate(size_t floats, float **out)
{
    if (rw_alloc(floats, sizeof **out, "the arrays of a measurement", out) == RW_OK) return true;
    rw_clear_message();
    return false;
}

static void fill(bool narrow, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        float x = (float)(i % 7) - 3;
        if (narrow)
            ((rw_bf16 *)(void *)out)[i] = rw_bf16_of(x);
        else
            out[i] = x;
    }
}

static void multiply(bool narrow, const float *a, const float *b, float *c)
{
    if (narrow)
        rw_gemm_stored(RW_STORED_BF16, false, true, GEMM_M, GEMM_N, GEMM_K, a, GEMM_K, b, GEMM_K,
                       false, c, GEMM_N);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, GEMM_M, GEMM_N, GEMM_K, 1, a, GEMM_K,
                    b, GEMM_K, 0, c, GEMM_N);
}

/* Products by a thread until `end`; returns their number. */
static long multiply_until(bool narrow, double end)
{
    size_t of_a = (size_t)GEMM_M * GEMM_K, of_b = (size_t)GEMM_K * GEMM_N;
    float *a = NULL;
    long done = 0;
    if (!allocate(of_a + of_b + (size_t)GEMM_M * GEMM_N, &a)) return 0;
    float *b = a + of_a, *c = b + of_b;
    fill(narrow, of_a, a);
    fill(narrow, of_b, b);
    while (rw_seconds() < end) {
        multiply(narrow, a, b, c);
        done++;
    }
    rw_free(&a);
    return done;
}

static double measure_products(bool narrow, int threads, double seconds)
{
    double start = rw_seconds();
    long done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
    done += multiply_until(narrow, start + seconds);
    return 2.0 * GEMM_M * GEMM_N * GEMM_K * (double)done / (rw_seconds() - start);
}

double rw_measure_products(int threads, double seconds)
{
    return measure_products(false, threads, seconds);
}

enum { TURNS = 1 << 16 };

/* 10 sums are in flight at a time: more than the latency of a multiply-add needs, and few enough
 * for 16 registers. They are separate variables: compilers keep an array in memory. */
#define EACH_SUM(DO) DO(a) DO(b) DO(c) DO(d) DO(e) DO(f) DO(g) DO(h) DO(i) DO(j)
enum { SUMS = 10 };

#ifdef __x86_64__
#define KEEP_IN_REGISTER(value) __asm__ volatile("" : "+x"(value))
#elif defined(__aarch64__)
#define KEEP_IN_REGISTER(value) __asm__ volatile("" : "+w"(value))
#else
#define KEEP_IN_REGISTER(value) (void)0
#endif

static real multiply_add(void)
{
#define DECLARE(sum) rw_vector sum = {0};
#define STEP(sum)                                                                                  \
    sum = sum * x + y;                                                                             \
    KEEP_IN_REGISTER(sum);
#define ADD(sum) all += sum[0];
    rw_vector x, y;
    real all = 0;
    for (int lane = 0; lane < RW_LANES; lane++) x[lane] = 0.5f, y[lane] = 0.25f;
    EACH_SUM(DECLARE)
    for (int turn = 0; turn < TURNS; turn++) {
        EACH_SUM(STEP)
    }
    EACH_SUM(ADD)
    return all;
}

double rw_measure_peak(double seconds)
{
    volatile real sink;
    double end = rw_seconds() + seconds, best = INFINITY;
    do {
        double start = rw_seconds();
        sink = multiply_add();
        double took = rw_seconds() - start;
        if (took < best) best = took;
    } while (rw_seconds() < end);
    (void)sink;
    return 2.0 * SUMS * RW_LANES * TURNS / best;
}

double rw_measure_products_bf16(int threads, double seconds)
{
    if (rw_gemm_stored_missing(RW_STORED_BF16)) return 0;
    return measure_products(true, threads, seconds);
}

/* ---- Subnormal numbers ------------------------------------------------------ */

enum { FACTORS = 1024 };

/* Seconds of a pass; the best of many until `end`. */
static double scale_until(const float *from, float *to, double end)
{
    volatile float half = 0.5f;
    double best = INFINITY;
    do {
        double start = rw_seconds();
        for (int pass = 0; pass < 16; pass++) {
            float factor = half;
            for (int i = 0; i < FACTORS; i++) to[i] = from[i] * factor;
        }
        double took = rw_seconds() - start;
        if (took < best) best = took;
    } while (rw_seconds() < end);
    return best;
}

double rw_measure_subnormal(double seconds)
{
    float *normal = NULL;
    if (!allocate((size_t)3 * FACTORS, &normal)) return 0;
    float *small = normal + FACTORS, *to = small + FACTORS;
    bool flushed = rw_float_mode_flushes();
    rw_float_mode_keep();
    for (int i = 0; i < FACTORS; i++) normal[i] = 1, small[i] = FLT_MIN / 2;
    double usual = scale_until(normal, to, rw_seconds() + seconds / 2);
    double slow = scale_until(small, to, rw_seconds() + seconds / 2);
    if (flushed) rw_float_mode_flush();
    rw_free(&normal);
    return slow / usual;
}

/* ---- Memory ---------------------------------------------------------------- */

enum { TRIAD_SIZE = 8 << 20 }; /* floats */

double rw_measure_triad(int threads, double seconds)
{
    float *a = NULL;
    if (!allocate((size_t)3 * TRIAD_SIZE, &a)) return 0;
    float *b = a + TRIAD_SIZE, *c = b + TRIAD_SIZE;
    /* Initialised by the threads that read them: so the pages are near. */
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < TRIAD_SIZE; i++) a[i] = b[i] = c[i] = 1;
    double best = INFINITY, end = rw_seconds() + seconds;
    do {
        double start = rw_seconds();
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int i = 0; i < TRIAD_SIZE; i++) a[i] = b[i] + 3 * c[i];
        double took = rw_seconds() - start;
        if (took < best) best = took;
    } while (rw_seconds() < end);
    rw_free(&a);
    return 12.0 * TRIAD_SIZE / best;
}

/* ---- Transforms ------------------------------------------------------------ */

/* Transforms by a thread until `end`; returns their number. */
static long transform_until(fftwf_plan plan, int n, double end)
{
    float *x = NULL;
    long done = 0;
    if (!allocate(2 * (size_t)n + 16, &x)) return 0;
    for (int i = 0; i < n; i++) x[i] = (float)(i % 7) - 3;
    while (rw_seconds() < end) {
        fftwf_execute_dft_r2c(plan, x, (fftwf_complex *)(x + n));
        done++;
    }
    rw_free(&x);
    return done;
}

double rw_measure_fft(int threads, int n, double seconds)
{
    float *x = NULL;
    if (!allocate(2 * (size_t)n + 16, &x)) return 0;
    fftwf_set_timelimit(1);
    fftwf_plan plan = fftwf_plan_dft_r2c_1d(n, x, (fftwf_complex *)(x + n), FFTW_MEASURE);
    fftwf_set_timelimit(FFTW_NO_TIMELIMIT);
    rw_free(&x);
    if (!plan) return 0;
    double start = rw_seconds();
    long done = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done)
    done += transform_until(plan, n, start + seconds);
    double took = rw_seconds() - start;
    fftwf_destroy_plan(plan);
    return 2.5 * n * log2(n) * (double)done / took;
}
