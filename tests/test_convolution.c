/* The chunk convolution against its naive sums, its algebra, and FFTW. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/convolution.h"
#include "kernels/convolution_fftw.h"

#ifdef RW_DOUBLE
#define TOLERANCE 1e-13
#else
#define TOLERANCE 2e-6
#endif

enum { MAX_CHUNK = 1024, MARGIN = 3 };

static const int all_channels[] = {1, 3, RW_CONV_GROUP, RW_CONV_GROUP + 1, 40};
#define CHANNEL_CASES (sizeof all_channels / sizeof all_channels[0])

/* One convolution: a kernel (T, D) and what the calls need; x and y are slices
 * of rows of D + MARGIN, and of an array that starts off alignment. */
typedef struct {
    int chunk, channels, rows, ld;
    real *plan, *spectrum, *scratch, *kernel;
    real *blocks[4];
    real *x, *y, *dx, *expected;
} bench;

static real *numbers(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "test numbers", &out), RW_OK);
    return out;
}

static void fill(real *x, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) x[i] = (real)rw_random_normal(random, i);
}

static size_t array_reals(const bench *b)
{
    return (size_t)b->chunk * (size_t)b->ld;
}

static void transform_kernel(bench *b)
{
    rw_conv_transform(b->chunk, b->plan, b->channels, 0, b->channels, b->kernel, b->spectrum,
                      b->scratch);
}

static bench make(int chunk, int channels, int rows)
{
    bench b = {.chunk = chunk, .channels = channels, .rows = rows, .ld = channels + MARGIN};
    b.plan = numbers(rw_conv_plan_reals(chunk));
    rw_conv_plan_init(chunk, b.plan);
    b.spectrum = numbers(rw_conv_spectrum_reals(chunk, channels));
    b.scratch = numbers(rw_conv_scratch_reals(chunk, channels));
    b.kernel = numbers((size_t)chunk * (size_t)channels);
    fill(b.kernel, (size_t)chunk * (size_t)channels, 1);
    for (int i = 0; i < 4; i++) {
        b.blocks[i] = numbers(array_reals(&b) + 1);
        fill(b.blocks[i], array_reals(&b) + 1, (uint64_t)(2 + i));
    }
    b.x = b.blocks[0] + 1;
    b.y = b.blocks[1] + 1;
    b.dx = b.blocks[2] + 1;
    b.expected = b.blocks[3] + 1;
    transform_kernel(&b);
    return b;
}

static void release(bench *b)
{
    rw_free(&b->plan);
    rw_free(&b->spectrum);
    rw_free(&b->scratch);
    rw_free(&b->kernel);
    for (int i = 0; i < 4; i++) rw_free(&b->blocks[i]);
}

static void forward(bench *b, const real *x, real *y, int add)
{
    rw_conv_forward(b->chunk, b->plan, b->channels, b->rows, b->spectrum, x, b->ld, y, b->ld, add,
                    b->scratch);
}

static void backward(bench *b, const real *dy, real *dx, int add)
{
    rw_conv_backward(b->chunk, b->plan, b->channels, b->rows, b->spectrum, dy, b->ld, dx, b->ld,
                     add, b->scratch);
}

/* Norm of a column. */
static double norm(int rows, int ld, const real *x)
{
    double sum = 0;
    for (int t = 0; t < rows; t++) sum += (double)x[t * ld] * (double)x[t * ld];
    return sqrt(sum);
}

static void assert_near(const bench *b, int d, int row, real value, double expected, double scale)
{
    if (!(fabs((double)value - expected) <= TOLERANCE * scale))
        fail_msg("T %d, rows %d, channels %d: channel %d, row %d: %.9g, expected %.9g", b->chunk,
                 b->rows, b->channels, d, row, (double)value, expected);
}

/* y is as expected, up to the tolerance times |kernel| |x|: rounding errors of
 * transforms are proportional to norms. */
static void assert_expected(const bench *b)
{
    for (int d = 0; d < b->channels; d++) {
        double scale = norm(b->chunk, b->channels, b->kernel + d) * norm(b->rows, b->ld, b->x + d);
        for (int t = 0; t < b->rows; t++)
            assert_near(b, d, t, b->y[t * b->ld + d], (double)b->expected[t * b->ld + d], scale);
    }
}

/* Runs `check` for all chunks, numbers of rows and of channels. */
static void for_all_shapes(void (*check)(bench *))
{
    for (int chunk = 1; chunk <= MAX_CHUNK; chunk *= 2)
        for (size_t c = 0; c < CHANNEL_CASES; c++) {
            int rows[] = {1, chunk - 1, chunk, chunk / 2 + 1};
            for (int r = 0; r < 4; r++) {
                if (rows[r] < 1 || rows[r] > chunk) continue;
                bench b = make(chunk, all_channels[c], rows[r]);
                check(&b);
                release(&b);
            }
        }
}

static void check_reference(bench *b)
{
    rw_conv_reference(b->chunk, b->channels, b->rows, b->kernel, b->x, b->ld, b->expected, b->ld);
    forward(b, b->x, b->y, 0);
    assert_expected(b);
}

static void equals_reference(void **state)
{
    (void)state;
    for_all_shapes(check_reference);
}

/* dx[s] = sum_{t>=s} kernel[t-s] dy[t], dy being y here. */
static void check_backward(bench *b)
{
    int D = b->channels, ld = b->ld;
    backward(b, b->y, b->dx, 0);
    for (int d = 0; d < D; d++) {
        double scale = norm(b->chunk, D, b->kernel + d) * norm(b->rows, ld, b->y + d);
        for (int s = 0; s < b->rows; s++) {
            double sum = 0;
            for (int t = s; t < b->rows; t++)
                sum += (double)b->kernel[(t - s) * D + d] * (double)b->y[t * ld + d];
            assert_near(b, d, s, b->dx[s * ld + d], sum, scale);
        }
    }
}

static void backward_equals_sums(void **state)
{
    (void)state;
    for_all_shapes(check_backward);
}

/* dkernel[j] += sum_t dy[t] x[t-j] */
static void check_kernel_gradient(bench *b)
{
    int D = b->channels, ld = b->ld;
    size_t reals = (size_t)b->chunk * (size_t)D;
    real *before = numbers(reals), *after = numbers(reals);
    fill(before, reals, 9);
    memcpy(after, before, reals * sizeof(real));
    rw_conv_backward_kernel(b->chunk, b->plan, D, b->rows, b->x, ld, b->y, ld, after, b->scratch);
    for (int d = 0; d < D; d++) {
        double scale = norm(b->rows, ld, b->x + d) * norm(b->rows, ld, b->y + d);
        for (int j = 0; j < b->chunk; j++) {
            double sum = (double)before[j * D + d];
            for (int t = j; t < b->rows; t++)
                sum += (double)b->y[t * ld + d] * (double)b->x[(t - j) * ld + d];
            assert_near(b, d, j, after[j * D + d], sum, scale + fabs(sum));
        }
    }
    rw_free(&before);
    rw_free(&after);
}

static void kernel_gradient_equals_sums(void **state)
{
    (void)state;
    for_all_shapes(check_kernel_gradient);
}

static double dot(const bench *b, const real *x, const real *y)
{
    double sum = 0;
    for (int t = 0; t < b->rows; t++)
        for (int d = 0; d < b->channels; d++)
            sum += (double)x[t * b->ld + d] * (double)y[t * b->ld + d];
    return sum;
}

/* <conv(x, kernel), y> = <x, correlation(y, kernel)> = <kernel, dkernel> */
static void check_adjoint(bench *b)
{
    size_t reals = (size_t)b->chunk * (size_t)b->channels;
    real *dkernel = numbers(reals);
    double scale = 0, over_kernel = 0;
    forward(b, b->x, b->expected, 0);
    backward(b, b->y, b->dx, 0);
    rw_conv_backward_kernel(b->chunk, b->plan, b->channels, b->rows, b->x, b->ld, b->y, b->ld,
                            dkernel, b->scratch);
    for (size_t i = 0; i < reals; i++) over_kernel += (double)b->kernel[i] * (double)dkernel[i];
    for (int d = 0; d < b->channels; d++)
        scale += norm(b->chunk, b->channels, b->kernel + d) * norm(b->rows, b->ld, b->x + d) *
                 norm(b->rows, b->ld, b->y + d);
    double over_y = dot(b, b->expected, b->y), over_x = dot(b, b->x, b->dx);
    assert_true(fabs(over_y - over_x) <= TOLERANCE * scale);
    assert_true(fabs(over_y - over_kernel) <= TOLERANCE * scale);
    rw_free(&dkernel);
}

static void gradients_are_adjoint(void **state)
{
    (void)state;
    for_all_shapes(check_adjoint);
}

/* conv(x + 2 y, kernel) = conv(x, kernel) + 2 conv(y, kernel) */
static void check_linear(bench *b)
{
    size_t reals = array_reals(b);
    real *mixed = numbers(reals);
    for (size_t i = 0; i < reals; i++) mixed[i] = b->x[i] + 2 * b->y[i];
    forward(b, b->x, b->dx, 0);
    forward(b, b->y, b->expected, 0);
    for (size_t i = 0; i < reals; i++) b->expected[i] = b->dx[i] + 2 * b->expected[i];
    memcpy(b->x, mixed, reals * sizeof(real));
    forward(b, b->x, b->y, 0);
    for (int d = 0; d < b->channels; d++) {
        double scale = 5 * norm(b->chunk, b->channels, b->kernel + d) * sqrt(b->rows) + 1;
        for (int t = 0; t < b->rows; t++)
            assert_near(b, d, t, b->y[t * b->ld + d], (double)b->expected[t * b->ld + d], scale);
    }
    rw_free(&mixed);
}

static void is_linear(void **state)
{
    (void)state;
    for_all_shapes(check_linear);
}

/* An impulse at row p gives the kernel delayed by p; nothing before it. */
static void check_impulses(bench *b)
{
    const int places[] = {0, b->rows / 2, b->rows - 1};
    for (int i = 0; i < 3; i++) {
        int p = places[i];
        memset(b->x, 0, array_reals(b) * sizeof(real));
        for (int d = 0; d < b->channels; d++) b->x[p * b->ld + d] = 1;
        for (int t = 0; t < b->rows; t++)
            for (int d = 0; d < b->channels; d++)
                b->expected[t * b->ld + d] = t < p ? 0 : b->kernel[(t - p) * b->channels + d];
        forward(b, b->x, b->y, 0);
        assert_expected(b);
    }
}

static void impulse_gives_kernel(void **state)
{
    (void)state;
    for_all_shapes(check_impulses);
}

/* x delayed by a row gives y delayed by a row. */
static void check_shift(bench *b)
{
    memset(b->expected, 0, sizeof(real) * (size_t)b->ld);
    rw_conv_forward(b->chunk, b->plan, b->channels, b->rows, b->spectrum, b->x, b->ld, b->dx, b->ld,
                    0, b->scratch);
    memcpy(b->expected + b->ld, b->dx, sizeof(real) * (size_t)(b->rows - 1) * (size_t)b->ld);
    memmove(b->x + b->ld, b->x, sizeof(real) * (size_t)(b->rows - 1) * (size_t)b->ld);
    memset(b->x, 0, sizeof(real) * (size_t)b->ld);
    forward(b, b->x, b->y, 0);
    for (int d = 0; d < b->channels; d++) {
        double scale = 5 * norm(b->chunk, b->channels, b->kernel + d) * sqrt(b->rows) + 1;
        for (int t = 0; t < b->rows; t++)
            assert_near(b, d, t, b->y[t * b->ld + d], (double)b->expected[t * b->ld + d], scale);
    }
}

static void shift_delays(void **state)
{
    (void)state;
    for_all_shapes(check_shift);
}

/* With `add`, y is the sum of what it was and exactly what it would be. */
static void check_add(bench *b)
{
    size_t bytes = array_reals(b) * sizeof(real);
    memcpy(b->dx, b->y, bytes);
    forward(b, b->x, b->y, 0);
    memcpy(b->expected, b->dx, bytes);
    forward(b, b->x, b->expected, 1);
    for (int t = 0; t < b->rows; t++)
        for (int d = 0; d < b->channels; d++) {
            int i = t * b->ld + d;
            real sum = b->dx[i] + b->y[i];
            assert_memory_equal(&b->expected[i], &sum, sizeof sum);
        }
}

static void add_accumulates(void **state)
{
    (void)state;
    for_all_shapes(check_add);
}

/* y may be x, with and without `add`. */
static void check_in_place(bench *b)
{
    size_t bytes = array_reals(b) * sizeof(real);
    for (int add = 0; add <= 1; add++) {
        memcpy(b->y, b->x, bytes);
        memcpy(b->expected, b->x, bytes);
        forward(b, b->x, b->expected, add);
        forward(b, b->y, b->y, add);
        assert_memory_equal(b->y, b->expected, bytes);
        memcpy(b->y, b->x, bytes);
        memcpy(b->expected, b->x, bytes);
        backward(b, b->x, b->expected, add);
        backward(b, b->y, b->y, add);
        assert_memory_equal(b->y, b->expected, bytes);
    }
}

static void works_in_place(void **state)
{
    (void)state;
    for_all_shapes(check_in_place);
}

/* What is not part of the result stays as it was. */
static void check_margins(bench *b)
{
    memcpy(b->expected, b->y, array_reals(b) * sizeof(real));
    forward(b, b->x, b->y, 0);
    backward(b, b->x, b->y, 1);
    for (int t = 0; t < b->chunk; t++)
        for (int d = t < b->rows ? b->channels : 0; d < b->ld; d++)
            assert_memory_equal(b->y + t * b->ld + d, b->expected + t * b->ld + d, sizeof(real));
}

static void margins_are_untouched(void **state)
{
    (void)state;
    for_all_shapes(check_margins);
}

/* All results for channel 0 of a wide array, and alone: the same bits, although
 * neighbours, addresses and the path (padded or not) differ. */
static void check_channel_alone(bench *b)
{
    bench one = make(b->chunk, 1, b->rows);
    real *wide = numbers((size_t)b->chunk * (size_t)b->channels);
    real *narrow = numbers((size_t)b->chunk);
    for (int t = 0; t < b->chunk; t++) {
        one.kernel[t] = b->kernel[t * b->channels];
        one.x[t * one.ld] = b->x[t * b->ld];
        one.y[t * one.ld] = b->y[t * b->ld];
    }
    transform_kernel(&one);
    rw_conv_backward_kernel(b->chunk, b->plan, b->channels, b->rows, b->x, b->ld, b->y, b->ld, wide,
                            b->scratch);
    rw_conv_backward_kernel(b->chunk, b->plan, 1, b->rows, one.x, one.ld, one.y, one.ld, narrow,
                            one.scratch);
    for (int t = 0; t < b->chunk; t++)
        assert_memory_equal(wide + t * b->channels, narrow + t, sizeof(real));
    backward(b, b->y, b->dx, 0);
    backward(&one, one.y, one.dx, 0);
    forward(b, b->x, b->y, 0);
    forward(&one, one.x, one.y, 0);
    for (int t = 0; t < b->rows; t++) {
        assert_memory_equal(b->dx + t * b->ld, one.dx + t * one.ld, sizeof(real));
        assert_memory_equal(b->y + t * b->ld, one.y + t * one.ld, sizeof(real));
    }
    rw_free(&wide);
    rw_free(&narrow);
    release(&one);
}

static void channel_ignores_neighbours(void **state)
{
    (void)state;
    for_all_shapes(check_channel_alone);
}

/* NaN in one channel stays there. */
static void nan_stays_in_its_channel(void **state)
{
    (void)state;
    bench b = make(64, RW_CONV_GROUP, 64);
    b.x[1] = (real)NAN;
    forward(&b, b.x, b.y, 0);
    for (int d = 0; d < b.channels; d++) assert_int_equal(isnan(b.y[d]) != 0, d == 1);
    release(&b);
}

/* Spectra computed in parts by several threads are the spectrum. */
static void spectrum_in_parts(void **state)
{
    (void)state;
    for (int chunk = 1; chunk <= 64; chunk *= 2) {
        int channels = 3 * RW_CONV_GROUP + 1;
        bench b = make(chunk, channels, chunk);
        size_t reals = rw_conv_spectrum_reals(chunk, channels);
        real *parts = numbers(reals);
        for (int begin = 0; begin < channels; begin += 2 * RW_CONV_GROUP) {
            int end = begin + 2 * RW_CONV_GROUP;
            rw_conv_transform(chunk, b.plan, channels, begin, end < channels ? end : channels,
                              b.kernel, parts, b.scratch);
        }
        assert_memory_equal(parts, b.spectrum, reals * sizeof(real));
        rw_free(&parts);
        release(&b);
    }
}

static void check_fftw(bench *b)
{
    rw_conv_fftw *plan;
    assert_int_equal(rw_conv_fftw_new(b->chunk, 0, &plan), RW_OK);
    real *spectrum = numbers(rw_conv_fftw_spectrum_reals(b->chunk, b->channels));
    real *scratch = numbers(rw_conv_fftw_scratch_reals(b->chunk));
    rw_conv_fftw_transform(plan, b->channels, b->kernel, spectrum, scratch);
    for (int add = 0; add <= 1; add++) {
        memcpy(b->expected, b->y, array_reals(b) * sizeof(real));
        rw_conv_fftw_forward(plan, b->channels, b->rows, spectrum, b->x, b->ld, b->expected, b->ld,
                             add, scratch);
        forward(b, b->x, b->y, add);
        assert_expected(b);
    }
    rw_free(&spectrum);
    rw_free(&scratch);
    rw_conv_fftw_destroy(&plan);
    assert_null(plan);
}

static void agrees_with_fftw(void **state)
{
    (void)state;
    for_all_shapes(check_fftw);
}

static void fftw_plan_fails_cleanly(void **state)
{
    (void)state;
    size_t before = rw_memory_in_use();
    for (long n = 1; n <= 2; n++) {
        rw_conv_fftw *plan;
        rw_clear_message();
        rw_memory_fail_after(n);
        assert_int_equal(rw_conv_fftw_new(16, 0, &plan), RW_ERROR);
        assert_null(plan);
        assert_string_not_equal(rw_message(), "");
    }
    rw_memory_fail_after(0);
    rw_clear_message();
    assert_int_equal(rw_memory_in_use(), before);
    rw_conv_fftw *none = NULL;
    rw_conv_fftw_destroy(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_reference),
        cmocka_unit_test(backward_equals_sums),
        cmocka_unit_test(kernel_gradient_equals_sums),
        cmocka_unit_test(gradients_are_adjoint),
        cmocka_unit_test(is_linear),
        cmocka_unit_test(impulse_gives_kernel),
        cmocka_unit_test(shift_delays),
        cmocka_unit_test(add_accumulates),
        cmocka_unit_test(works_in_place),
        cmocka_unit_test(margins_are_untouched),
        cmocka_unit_test(channel_ignores_neighbours),
        cmocka_unit_test(nan_stays_in_its_channel),
        cmocka_unit_test(spectrum_in_parts),
        cmocka_unit_test(agrees_with_fftw),
        cmocka_unit_test(fftw_plan_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
