/* The recurrences of the state-space mixers against their definitions: dense
 * matrices, powers and elimination in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <complex.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "kernels/diagonal.h"
#include "kernels/lanes.h"
#include "kernels/legs.h"

enum { MOST = 64, TOKENS = 37 };

static const int sizes[] = {1, 2, 4, 7, 8, 9, 16, 33, 64};
static const double steps[] = {1e-4, 1e-2, 0.1, 2.0};
enum { SIZES = sizeof sizes / sizeof *sizes, STEPS = sizeof steps / sizeof *steps };

/* Errors allowed, relative to the largest value compared. */
static const double tolerance = sizeof(real) == sizeof(double) ? 1e-12 : 3e-6;

static real columns[8][MOST * RW_LANES], tokens[4][TOKENS * RW_LANES];
static real coefficients[MOST * RW_DIAGONAL_COEFFICIENTS * RW_LANES],
    triangle[MOST * (MOST + 1) / 2 * RW_LANES];

static void fill(real *x, int count, uint64_t stream)
{
    rw_random random = rw_random_stream(1, RW_RANDOM_TEST, stream);
    for (int i = 0; i < count; i++) x[i] = (real)rw_random_normal(random, (uint64_t)i);
}

static double dot(int count, const real *a, const real *b)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void assert_near(double found, double expected, double scale)
{
    if (!(fabs(found - expected) <= tolerance * scale))
        fail_msg("%.9g is not %.9g (scale %.3g)", found, expected, scale);
}

/* What <a, b> may be compared relative to. */
static double norms(int count, const real *a, const real *b)
{
    return sqrt(dot(count, a, a) * dot(count, b, b));
}

/* Each lane its own channel: lane i has step dt (1 + i) / 2. */
static double lane_step(double dt, int lane)
{
    return dt * (1 + lane) / 2;
}

static void make_channels(int state, double dt, real C[RW_LANES][MOST])
{
    fill(C[0], RW_LANES * MOST, 1);
    for (int i = 0; i < RW_LANES; i++)
        rw_legs_coefficients(state, i, lane_step(dt, i), C[i], coefficients);
}

/* The definition: Abar = (I - dt/2 A)^-1 (I + dt/2 A), Bbar = dt (I - dt/2 A)^-1 B. */
typedef struct {
    double A[MOST][MOST], B[MOST];
} dense;

static void dense_legs(int state, double dt, dense *out)
{
    double left[MOST][MOST], right[MOST][MOST + 1];
    for (int n = 0; n < state; n++) {
        for (int k = 0; k < state; k++) {
            double A = n > k ? -sqrt((2.0 * n + 1) * (2.0 * k + 1)) : n == k ? -(n + 1.0) : 0;
            left[n][k] = (n == k) - dt / 2 * A;
            right[n][k] = (n == k) + dt / 2 * A;
        }
        right[n][state] = dt * sqrt(2.0 * n + 1);
    }
    for (int p = 0; p < state; p++) /* Gauss-Jordan */
        for (int n = 0; n < state; n++) {
            double factor = left[n][p] / left[p][p];
            for (int k = 0; n != p && k < state; k++) left[n][k] -= factor * left[p][k];
            for (int k = 0; n != p && k <= state; k++) right[n][k] -= factor * right[p][k];
        }
    for (int n = 0; n < state; n++) {
        for (int k = 0; k < state; k++) out->A[n][k] = right[n][k] / left[n][n];
        out->B[n] = right[n][state] / left[n][n];
    }
}

/* h = A h + B u */
static void dense_step(int state, const dense *system, double u, double *h)
{
    double next[MOST];
    for (int n = 0; n < state; n++) {
        next[n] = system->B[n] * u;
        for (int k = 0; k < state; k++) next[n] += system->A[n][k] * h[k];
    }
    memcpy(h, next, (size_t)state * sizeof *h);
}

static void legs_kernel_is_c_abar_to_the_t_bbar(void **unused)
{
    (void)unused;
    static real C[RW_LANES][MOST];
    static dense system;
    for (int s = 0; s < SIZES; s++)
        for (int d = 0; d < STEPS; d++) {
            const int state = sizes[s];
            make_channels(state, steps[d], C);
            memset(tokens, 0, sizeof tokens);
            memset(columns, 0, sizeof columns);
            for (int i = 0; i < RW_LANES; i++) tokens[0][i] = 1;
            rw_legs_run(state, coefficients, TOKENS, tokens[0], tokens[1], columns[0]);
            for (int i = 0; i < RW_LANES; i++) {
                double h[MOST] = {0}, K[TOKENS] = {0}, scale = 0;
                dense_legs(state, lane_step(steps[d], i), &system);
                for (int t = 0; t < TOKENS; t++) {
                    dense_step(state, &system, t == 0, h);
                    for (int n = 0; n < state; n++) K[t] += (double)C[i][n] * h[n];
                    for (int n = 0; n < state; n++) scale = fmax(scale, fabs(C[i][n] * h[n]));
                }
                for (int t = 0; t < TOKENS; t++)
                    assert_near((double)tokens[1][t * RW_LANES + i], K[t], scale);
            }
        }
}

/* sum dy y + p' h' = sum du u + p h for any u, h, dy, p': a transpose, whatever
 * the number of tokens, and whichever of the arguments are left out. */
static void legs_adjoint_is_the_transpose(void **unused)
{
    (void)unused;
    static real C[RW_LANES][MOST];
    for (int s = 0; s < SIZES; s++)
        for (int rows = 1; rows <= TOKENS; rows += 2) {
            const int state = sizes[s], size = state * RW_LANES, count = rows * RW_LANES;
            make_channels(state, 0.05, C);
            fill(tokens[0], count, 2);
            fill(tokens[1], count, 3);
            real *u = tokens[0], *dy = tokens[1], *y = tokens[2], *du = tokens[3];
            real *h = columns[0], *p = columns[1];
            for (int bits = 0; bits < 4; bits++) {
                fill(h, size, 4);
                fill(p, size, 5);
                memcpy(columns[2], h, sizeof columns[2]);
                memcpy(columns[3], p, sizeof columns[3]);
                bool input = bits & 1, output = bits & 2;
                rw_legs_run(state, coefficients, rows, input ? u : NULL, output ? y : NULL, h);
                rw_legs_run_adjoint(state, coefficients, rows, output ? dy : NULL,
                                    input ? du : NULL, p);
                double left = dot(size, columns[3], h) + (output ? dot(count, dy, y) : 0);
                double right = dot(size, p, columns[2]) + (input ? dot(count, u, du) : 0);
                double scale = norms(size, columns[3], h) + norms(size, p, columns[2]);
                assert_near(right, left, scale);
            }
        }
}

/* The loss of one lane by the definition, in double: sum dy y + dh . q_end. */
static double dense_loss(int state, int lane, double dt, const real *C, const real *h0,
                         const real *dh)
{
    static dense system;
    double h[MOST], loss = 0;
    dense_legs(state, dt, &system);
    for (int n = 0; n < state; n++) h[n] = sqrt(2.0 * n + 1) * (double)h0[n * RW_LANES + lane];
    for (int t = 0; t < TOKENS; t++) {
        dense_step(state, &system, (double)tokens[0][t * RW_LANES + lane], h);
        for (int n = 0; n < state; n++)
            loss += (double)tokens[1][t * RW_LANES + lane] * (double)C[n] * h[n];
    }
    for (int n = 0; n < state; n++)
        loss += (double)dh[n * RW_LANES + lane] / sqrt(2.0 * n + 1) * h[n];
    return loss;
}

static void legs_gradient_is_the_derivative(void **unused)
{
    (void)unused;
    static real C[RW_LANES][MOST];
    for (int s = 0; s < 7; s++) {
        const int state = sizes[s], size = state * RW_LANES;
        const double h = 1e-4;
        make_channels(state, 0.05, C);
        fill(tokens[0], TOKENS * RW_LANES, 6);
        fill(tokens[1], TOKENS * RW_LANES, 7);
        fill(columns[0], size, 8); /* state at the start */
        fill(columns[1], size, 9); /* gradient at the end */
        memset(columns[2], 0, 4 * sizeof columns[2]);
        real *q = columns[2], *tangent = columns[3], *dc = columns[4], *dlog_dt = columns[5];
        memcpy(q, columns[0], sizeof columns[0]);
        rw_legs_gradient(state, coefficients, TOKENS, tokens[0], tokens[1], q, tangent, dc,
                         dlog_dt);
        for (int i = 0; i < RW_LANES; i++) {
            double dt = lane_step(0.05, i), found = (double)dlog_dt[i];
            for (int n = 0; n < state; n++)
                found += (double)columns[1][n * RW_LANES + i] * (double)tangent[n * RW_LANES + i];
            double up = dense_loss(state, i, dt * exp(h), C[i], columns[0], columns[1]);
            double down = dense_loss(state, i, dt * exp(-h), C[i], columns[0], columns[1]);
            double expected = (up - down) / (2 * h);
            if (!(fabs(found - expected) <= 1e-4 * (1 + fabs(expected))))
                fail_msg("d log dt of N=%d: %.9g is not %.9g", state, found, expected);
        }
    }
}

/* sum_t dy_t y_t is linear in c: dc . c, and dc is sum_t dy_t q_t. */
static void legs_gradient_of_c_is_the_readout(void **unused)
{
    (void)unused;
    static real C[RW_LANES][MOST];
    for (int s = 0; s < SIZES; s++) {
        const int state = sizes[s], count = TOKENS * RW_LANES;
        make_channels(state, 0.05, C);
        fill(tokens[0], count, 25);
        fill(tokens[1], count, 26);
        memset(columns, 0, sizeof columns);
        rw_legs_run(state, coefficients, TOKENS, tokens[0], tokens[2], columns[0]);
        rw_legs_gradient(state, coefficients, TOKENS, tokens[0], tokens[1], columns[1], columns[2],
                         columns[3], columns[4]);
        for (int i = 0; i < RW_LANES; i++) {
            double by_c = 0, by_y = 0;
            for (int n = 0; n < state; n++)
                by_c += sqrt(2.0 * n + 1) * (double)C[i][n] * (double)columns[3][n * RW_LANES + i];
            for (int t = 0; t < TOKENS; t++)
                by_y += (double)tokens[1][t * RW_LANES + i] * (double)tokens[2][t * RW_LANES + i];
            assert_near(by_c, by_y, norms(count, tokens[1], tokens[2]));
        }
        for (int j = 0; j < state * RW_LANES; j++)
            assert_near((double)columns[1][j], (double)columns[0][j], 1);
    }
}

static void legs_powers_are_dense_powers(void **unused)
{
    (void)unused;
    static real C[RW_LANES][MOST];
    for (int s = 0; s < SIZES; s++)
        for (int d = 0; d < STEPS; d++) {
            const int state = sizes[s], size = state * RW_LANES;
            make_channels(state, steps[d], C);
            rw_legs_power_one(state, coefficients, triangle);
            for (int count = 1; count <= 64; count *= 2) {
                fill(columns[0], size, 10);
                memcpy(columns[1], columns[0], sizeof columns[1]);
                rw_legs_run(state, coefficients, count, NULL, NULL, columns[1]);
                rw_legs_power_apply(state, triangle, false, columns[0], columns[2]);
                for (int i = 0; i < size; i++)
                    assert_near((double)columns[2][i], (double)columns[1][i], 10);
                fill(columns[1], size, 11);
                rw_legs_power_apply(state, triangle, true, columns[1], columns[3]);
                assert_near(dot(size, columns[3], columns[0]), dot(size, columns[1], columns[2]),
                            norms(size, columns[1], columns[0]));
                rw_legs_power_double(state, triangle);
            }
        }
}

static void lanes_without_a_channel_are_silent(void **unused)
{
    (void)unused;
    static real C[RW_LANES][MOST];
    make_channels(9, 0.1, C);
    rw_legs_no_channel(9, RW_LANES - 1, coefficients);
    fill(tokens[0], TOKENS * RW_LANES, 12);
    memset(columns[0], 0, sizeof columns[0]);
    rw_legs_run(9, coefficients, TOKENS, tokens[0], tokens[1], columns[0]);
    for (int t = 0; t < TOKENS; t++) assert_true(tokens[1][t * RW_LANES + RW_LANES - 1] == 0);
    for (int n = 0; n < 9; n++) assert_true(columns[0][n * RW_LANES + RW_LANES - 1] == 0);
}

/* Modes of S4D-Lin in every lane; c arbitrary. lambda as the kernel reads it. */
static void make_modes(int modes, double dt, double complex *lambda, double complex *c)
{
    const double pi = 3.14159265358979323846;
    real read[2 * MOST * RW_LANES];
    fill(read, 2 * modes * RW_LANES, 13);
    for (int m = 0; m < modes; m++)
        for (int i = 0; i < RW_LANES; i++) {
            const real *at = read + 2 * m * RW_LANES + i;
            c[m * RW_LANES + i] = (double)at[0] + I * (double)at[RW_LANES];
            lambda[m * RW_LANES + i] = cexp(lane_step(dt, i) * (-0.5 + I * pi * m));
            rw_diagonal_coefficients(m, i, lambda[m * RW_LANES + i], c[m * RW_LANES + i],
                                     coefficients);
        }
}

static void diagonal_kernel_is_c_lambda_to_the_t(void **unused)
{
    (void)unused;
    static double complex lambda[MOST * RW_LANES], c[MOST * RW_LANES];
    for (int modes = 1; modes <= 32; modes = 2 * modes + 1)
        for (int d = 0; d < STEPS; d++) {
            make_modes(modes, steps[d], lambda, c);
            memset(tokens, 0, sizeof tokens);
            memset(columns[0], 0, sizeof columns[0]);
            for (int i = 0; i < RW_LANES; i++) tokens[0][i] = 1;
            rw_diagonal_run(modes, coefficients, TOKENS, tokens[0], tokens[1], columns[0]);
            for (int t = 0; t < TOKENS; t++)
                for (int i = 0; i < RW_LANES; i++) {
                    double K = 0;
                    for (int m = 0; m < modes; m++)
                        K += creal(c[m * RW_LANES + i] * cpow(lambda[m * RW_LANES + i], t));
                    assert_near((double)tokens[1][t * RW_LANES + i], K, modes);
                }
        }
}

/* A run is what the state gives and what the tokens leave, each on its own. */
static void diagonal_parts_are_the_run(void **unused)
{
    (void)unused;
    static double complex lambda[MOST * RW_LANES], c[MOST * RW_LANES];
    for (int modes = 1; modes <= 32; modes = 2 * modes + 1)
        for (int rows = 0; rows <= TOKENS; rows++) {
            const int size = 2 * modes * RW_LANES, count = rows * RW_LANES;
            make_modes(modes, 0.05, lambda, c);
            memset(columns, 0, sizeof columns);
            memset(tokens, 0, sizeof tokens);
            fill(tokens[0], count, 27);
            fill(columns[0], size, 28);
            memcpy(columns[1], columns[0], sizeof columns[1]);
            rw_diagonal_output(modes, coefficients, rows, columns[0], tokens[1]);
            rw_diagonal_run(modes, coefficients, rows, tokens[3], tokens[2], columns[1]);
            for (int i = 0; i < count; i++)
                assert_near((double)tokens[1][i], (double)tokens[2][i], 10 * sqrt(modes));
            rw_diagonal_input(modes, coefficients, rows, tokens[0], columns[2]);
            rw_diagonal_run(modes, coefficients, rows, tokens[0], tokens[2], columns[3]);
            for (int i = 0; i < size; i++)
                assert_near((double)columns[2][i], (double)columns[3][i], 10);
        }
}

static void diagonal_adjoints_are_the_transposes(void **unused)
{
    (void)unused;
    static double complex lambda[MOST * RW_LANES], c[MOST * RW_LANES];
    for (int modes = 1; modes <= 32; modes = 2 * modes + 1)
        for (int rows = 1; rows <= TOKENS; rows += 3) {
            const int size = 2 * modes * RW_LANES, count = rows * RW_LANES;
            make_modes(modes, 0.05, lambda, c);
            fill(tokens[0], count, 14);
            fill(tokens[1], count, 15);
            fill(columns[0], size, 16);
            fill(columns[1], size, 17);
            memcpy(columns[2], columns[0], sizeof columns[2]);
            rw_diagonal_output(modes, coefficients, rows, columns[2], tokens[2]);
            rw_diagonal_output_adjoint(modes, coefficients, rows, tokens[1], columns[3]);
            assert_near(dot(size, columns[3], columns[0]), dot(count, tokens[1], tokens[2]),
                        norms(count, tokens[1], tokens[2]));
            memcpy(columns[2], columns[1], sizeof columns[2]);
            rw_diagonal_input(modes, coefficients, rows, tokens[0], columns[3]);
            rw_diagonal_input_adjoint(modes, coefficients, rows, columns[2], tokens[3]);
            assert_near(dot(count, tokens[0], tokens[3]), dot(size, columns[1], columns[3]),
                        norms(size, columns[1], columns[3]));
        }
}

/* Against the sums of the definition: x_t = sum_s lambda^(t-s) u_s (s = -1: the
 * state), lambda dx_t/dlambda = sum_s (t-s) lambda^(t-s) u_s. */
static void check_diagonal_gradient(int modes, int rows)
{
    static double complex lambda[MOST * RW_LANES], c[MOST * RW_LANES];
    make_modes(modes, 0.05, lambda, c);
    fill(tokens[0], TOKENS * RW_LANES, 18);
    fill(tokens[1], TOKENS * RW_LANES, 19);
    fill(columns[0], 2 * modes * RW_LANES, 20);
    memcpy(columns[1], columns[0], sizeof columns[1]);
    rw_diagonal_gradient(modes, coefficients, rows, tokens[0], tokens[1], columns[1], columns[2],
                         triangle);
    for (int m = 0; m < modes; m++)
        for (int i = 0; i < RW_LANES; i++) {
            double complex a = lambda[m * RW_LANES + i], sum_x = 0, sum_v = 0, v = 0, x;
            x = (double)columns[0][2 * m * RW_LANES + i] +
                I * (double)columns[0][(2 * m + 1) * RW_LANES + i];
            double complex start = x;
            for (int t = 0; t < rows; t++) {
                x = cpow(a, t + 1) * start;
                v = (t + 1) * x;
                for (int s = 0; s <= t; s++) {
                    x += cpow(a, t - s) * (double)tokens[0][s * RW_LANES + i];
                    v += (t - s) * cpow(a, t - s) * (double)tokens[0][s * RW_LANES + i];
                }
                sum_x += (double)tokens[1][t * RW_LANES + i] * x;
                sum_v += (double)tokens[1][t * RW_LANES + i] * v;
            }
            const double complex expected[4] = {v, x, sum_v, sum_x};
            const real *found[4] = {columns[2] + 2 * m * RW_LANES, columns[1] + 2 * m * RW_LANES,
                                    triangle + 4 * m * RW_LANES, triangle + (4 * m + 2) * RW_LANES};
            for (int k = 0; k < 4; k++) {
                assert_near((double)found[k][i], creal(expected[k]), 300);
                assert_near((double)found[k][RW_LANES + i], cimag(expected[k]), 300);
            }
        }
}

/* With and without whole blocks of tokens and of modes, and what is left of them. */
static void diagonal_gradient_is_the_derivative(void **unused)
{
    (void)unused;
    check_diagonal_gradient(5, TOKENS);
    check_diagonal_gradient(1, 3);
    check_diagonal_gradient(20, 16);
    check_diagonal_gradient(3, 32);
}

static void diagonal_power_is_a_complex_product(void **unused)
{
    (void)unused;
    const int modes = 3, size = 2 * modes * RW_LANES;
    for (int k = 0; k < 3; k++) fill(columns[k], size, 21 + (uint64_t)k);
    rw_diagonal_power_apply(modes, columns[0], false, columns[1], columns[3]);
    for (int m = 0; m < modes; m++)
        for (int i = 0; i < RW_LANES; i++) {
            int re = 2 * m * RW_LANES + i, im = re + RW_LANES;
            double complex product = ((double)columns[0][re] + I * (double)columns[0][im]) *
                                     ((double)columns[1][re] + I * (double)columns[1][im]);
            assert_near((double)columns[3][re], creal(product), 10);
            assert_near((double)columns[3][im], cimag(product), 10);
        }
    rw_diagonal_power_apply(modes, columns[0], true, columns[2], columns[4]);
    assert_near(dot(size, columns[4], columns[1]), dot(size, columns[2], columns[3]),
                norms(size, columns[4], columns[1]));
}

static void packing_keeps_to_its_columns(void **unused)
{
    (void)unused;
    enum { ROWS = 5, LD = RW_LANES + 3 };
    real x[ROWS * LD], y[ROWS * LD], column[ROWS * RW_LANES];
    fill(x, ROWS * LD, 24);
    for (int width = 1; width <= RW_LANES; width++) {
        rw_lanes_pack(ROWS, width, x, LD, column);
        memset(y, 0, sizeof y);
        rw_lanes_unpack(ROWS, width, column, y, LD);
        rw_lanes_unpack_add(ROWS, width, column, y, LD);
        for (int t = 0; t < ROWS; t++) {
            for (int i = 0; i < LD; i++)
                assert_true(y[t * LD + i] == (i < width ? 2 * x[t * LD + i] : 0));
            for (int i = width; i < RW_LANES; i++) assert_true(column[t * RW_LANES + i] == 0);
        }
    }
}

static void packing_a_pair_is_packing_twice(void **unused)
{
    (void)unused;
    enum { ROWS = 5, LD = 2 * RW_LANES + 3 };
    real x[ROWS * LD], y[ROWS * LD], pair[2][ROWS * RW_LANES], column[ROWS * RW_LANES];
    fill(x, ROWS * LD, 29);
    rw_lanes_pack_pair(ROWS, x, LD, pair[0], pair[1]);
    for (int k = 0; k < 2; k++) {
        rw_lanes_pack(ROWS, RW_LANES, x + k * RW_LANES, LD, column);
        assert_memory_equal(pair[k], column, sizeof column);
    }
    memcpy(y, x, sizeof y);
    rw_lanes_unpack_add_pair(ROWS, pair[0], pair[1], y, LD);
    for (int i = 0; i < ROWS * LD; i++)
        assert_true(y[i] == (i % LD < 2 * RW_LANES ? 2 * x[i] : x[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legs_kernel_is_c_abar_to_the_t_bbar),
        cmocka_unit_test(legs_adjoint_is_the_transpose),
        cmocka_unit_test(legs_gradient_is_the_derivative),
        cmocka_unit_test(legs_gradient_of_c_is_the_readout),
        cmocka_unit_test(legs_powers_are_dense_powers),
        cmocka_unit_test(lanes_without_a_channel_are_silent),
        cmocka_unit_test(diagonal_kernel_is_c_lambda_to_the_t),
        cmocka_unit_test(diagonal_parts_are_the_run),
        cmocka_unit_test(diagonal_adjoints_are_the_transposes),
        cmocka_unit_test(diagonal_gradient_is_the_derivative),
        cmocka_unit_test(diagonal_power_is_a_complex_product),
        cmocka_unit_test(packing_keeps_to_its_columns),
        cmocka_unit_test(packing_a_pair_is_packing_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
