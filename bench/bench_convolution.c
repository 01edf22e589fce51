/* Speed of the chunk convolution on one core, against FFTW, against the product with
 * a Toeplitz matrix for every channel, and against matrix products in the same run. All
 * are timed in turn, several times; medians. The Toeplitz products have all in their
 * favour: the matrix is there, many chunks are its columns, and it is cut to the triangle. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/convolution.h"
#include "kernels/convolution_fftw.h"
#include "kernels/tile_product.h"

enum { MIN_CHUNK = 64, MAX_CHUNK = 4096, GEMM_SIZE = 384, ROUNDS = 9 };
enum { COLUMNS = 64, STRIP = 32 }; /* of a Toeplitz product: chunks; rows that share a cut */
#define WORK 250000                /* channel-samples of one timing */

static const int all_channels[] = {32, 128, 512};

enum { FORWARD, BACKWARD, KERNEL, FFTW, TOEPLITZ, GEMM, SUBJECTS };

/* One shape: its arrays, and the seconds of every subject and round. */
typedef struct {
    int chunk, channels;
    real *plan, *spectrum, *scratch, *kernel, *x, *y, *dkernel;
    rw_conv_fftw *fftw;
    real *fftw_spectrum, *fftw_scratch;
    real *a, *b, *c;
    real *toeplitz, *columns, *products; /* (T, T), (T, COLUMNS), (T, COLUMNS) */
    double seconds[SUBJECTS][ROUNDS];
} shape;

/* Seconds of processor time: on a busy machine the others' share does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static rw_status numbers(size_t count, real **out)
{
    rw_random random = rw_random_stream(1, RW_RANDOM_TEST, count);
    RW_TRY(rw_alloc(count, sizeof(real), "benchmark array", out));
    for (size_t i = 0; i < count; i++) (*out)[i] = (real)(rw_random_uniform(random, i) - 0.5);
    return RW_OK;
}

static rw_status prepare(shape *s)
{
    size_t reals = (size_t)s->chunk * (size_t)s->channels, square = GEMM_SIZE * GEMM_SIZE;
    RW_TRY(numbers(rw_conv_plan_reals(s->chunk), &s->plan));
    RW_TRY(numbers(rw_conv_spectrum_reals(s->chunk, s->channels), &s->spectrum));
    RW_TRY(numbers(rw_conv_scratch_reals(s->chunk, s->channels), &s->scratch));
    RW_TRY(numbers(reals, &s->kernel));
    RW_TRY(numbers(reals, &s->x));
    RW_TRY(numbers(reals, &s->y));
    RW_TRY(numbers(reals, &s->dkernel));
    RW_TRY(rw_conv_fftw_new(s->chunk, 1, &s->fftw));
    RW_TRY(numbers(rw_conv_fftw_spectrum_reals(s->chunk, s->channels), &s->fftw_spectrum));
    RW_TRY(numbers(rw_conv_fftw_scratch_reals(s->chunk), &s->fftw_scratch));
    RW_TRY(numbers(square, &s->a));
    RW_TRY(numbers(square, &s->b));
    RW_TRY(numbers(square, &s->c));
    RW_TRY(numbers((size_t)s->chunk * (size_t)s->chunk, &s->toeplitz));
    RW_TRY(numbers((size_t)s->chunk * COLUMNS, &s->columns));
    RW_TRY(numbers((size_t)s->chunk * COLUMNS, &s->products));
    rw_conv_plan_init(s->chunk, s->plan);
    rw_conv_transform(s->chunk, s->plan, s->channels, 0, s->channels, s->kernel, s->spectrum,
                      s->scratch);
    rw_conv_fftw_transform(s->fftw, s->channels, s->kernel, s->fftw_spectrum, s->fftw_scratch);
    return RW_OK;
}

static void release(shape *s)
{
    real **all[] = {&s->plan, &s->spectrum, &s->scratch,       &s->kernel,       &s->x,
                    &s->y,    &s->dkernel,  &s->fftw_spectrum, &s->fftw_scratch, &s->a,
                    &s->b,    &s->c,        &s->toeplitz,      &s->columns,      &s->products};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) rw_free(all[i]);
    rw_conv_fftw_destroy(&s->fftw);
}

static void multiply_matrices(shape *s)
{
#ifdef RW_DOUBLE
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, GEMM_SIZE, GEMM_SIZE, GEMM_SIZE, 1, s->a,
                GEMM_SIZE, s->b, GEMM_SIZE, 0, s->c, GEMM_SIZE);
#else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, GEMM_SIZE, GEMM_SIZE, GEMM_SIZE, 1, s->a,
                GEMM_SIZE, s->b, GEMM_SIZE, 0, s->c, GEMM_SIZE);
#endif
}

/* One channel of COLUMNS chunks. */
static void multiply_toeplitz(shape *s)
{
    for (int t = 0; t < s->chunk; t += STRIP)
        rw_tile_product(STRIP, COLUMNS, t + STRIP,
                        (rw_strided){s->toeplitz + (size_t)t * (size_t)s->chunk, s->chunk, 1},
                        s->columns, COLUMNS, 0, s->products + (size_t)t * COLUMNS, COLUMNS);
}

static void run_once(shape *s, int subject)
{
    int T = s->chunk, D = s->channels;
    switch (subject) {
    case FORWARD:
        rw_conv_forward(T, s->plan, D, T, s->spectrum, s->x, D, s->y, D, 0, s->scratch);
        break;
    case BACKWARD:
        rw_conv_backward(T, s->plan, D, T, s->spectrum, s->x, D, s->y, D, 0, s->scratch);
        break;
    case KERNEL:
        rw_conv_backward_kernel(T, s->plan, D, T, s->x, D, s->y, D, s->dkernel, s->scratch);
        break;
    case FFTW:
        rw_conv_fftw_forward(s->fftw, D, T, s->fftw_spectrum, s->x, D, s->y, D, 0, s->fftw_scratch);
        break;
    case TOEPLITZ:
        multiply_toeplitz(s);
        break;
    default:
        multiply_matrices(s);
    }
}

static void time_all(shape *s)
{
    int repeats = 1 + WORK / (s->chunk * s->channels);
    for (int round = 0; round < ROUNDS; round++)
        for (int subject = 0; subject < SUBJECTS; subject++) {
            int times = subject == GEMM ? 1 : repeats;
            double samples = subject == TOEPLITZ ? (double)s->channels / COLUMNS : 1;
            run_once(s, subject); /* brings its arrays back into the caches */
            double start = now();
            for (int i = 0; i < times; i++) run_once(s, subject);
            s->seconds[subject][round] = samples * (now() - start) / times;
        }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double values[ROUNDS])
{
    double sorted[ROUNDS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, ROUNDS, sizeof *sorted, compare);
    return sorted[ROUNDS / 2];
}

/* Median over rounds of seconds of a / seconds of b: what slows the whole
 * machine down for a while slows both. */
static double median_ratio(const shape *s, int a, int b)
{
    double ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) ratios[i] = s->seconds[a][i] / s->seconds[b][i];
    return median(ratios);
}

/* By convention a real transform of N = 2T points is 2.5 N log2 N operations;
 * a convolution has two of them, the gradient of the kernel three. */
static void print_row(const shape *s)
{
    static const int transforms[] = {[FORWARD] = 2, [BACKWARD] = 2, [KERNEL] = 3};
    double samples = (double)s->chunk * s->channels;
    double transform = 5.0 * __builtin_ctz(2 * (unsigned)s->chunk) * samples;
    double gemm = 2.0 * GEMM_SIZE * GEMM_SIZE * GEMM_SIZE;
    printf("%5d %8d |", s->chunk, s->channels);
    for (int i = FORWARD; i <= KERNEL; i++) {
        double seconds = median(s->seconds[i]);
        printf("%6.2f %6.1f |", 1e9 * seconds / samples,
               1e-9 * transforms[i] * transform / seconds);
    }
    printf("%6.2f %6.1f |%6.2f %6.1f |%6.1f %6.2f\n", 1e9 * median(s->seconds[FFTW]) / samples,
           median_ratio(s, FFTW, FORWARD), 1e9 * median(s->seconds[TOEPLITZ]) / samples,
           median_ratio(s, TOEPLITZ, FORWARD), 1e-9 * gemm / median(s->seconds[GEMM]),
           2 * transform / gemm * median_ratio(s, GEMM, FORWARD));
}

static rw_status measure(int chunk, int channels)
{
    rw_status status = RW_OK;
    shape s = {.chunk = chunk, .channels = channels};
    RW_TRY_DONE(prepare(&s));
    time_all(&s);
    print_row(&s);
done:
    release(&s);
    return status;
}

int main(void)
{
    openblas_set_num_threads(1); /* the library found at run time may be the threaded one */
    printf("One core, " RW_REAL_NAME ", vectors of %d bytes; ns: per channel-sample; GF/s: "
           "2.5 N log2 N a transform, N = 2T\n",
           RW_VECTOR_BYTES);
    printf("               |   forward    |   backward   | kernel grad. | FFTW forward |%s| %s\n",
           "   Toeplitz   ", "matrix product");
    printf("    T channels |    ns   GF/s |    ns   GF/s |    ns   GF/s |    ns  slower|    ns  "
           "slower|  GF/s  fwd/it\n");
    for (int chunk = MIN_CHUNK; chunk <= MAX_CHUNK; chunk *= 2)
        for (size_t i = 0; i < sizeof all_channels / sizeof all_channels[0]; i++)
            if (measure(chunk, all_channels[i]) != RW_OK) {
                fprintf(stderr, "bench_convolution: %s\n", rw_message());
                return 1;
            }
    return 0;
}
