/* The packed product: against plain loops, for sizes that fit no panel, plain and transposed; and
 * the bits of a vector depend neither on those beside it nor on the direction. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "kernels/packed_product.h"

/* The largest sizes, and a padded row of the largest. */
enum { MAX_M = 70, MAX_N = 300, PADDED = MAX_N + RW_PANEL, VECTORS = 7 };

static real matrix[MAX_M * MAX_N], packed[MAX_M * PADDED];
static real x[VECTORS][MAX_M], y[VECTORS][PADDED], alone[PADDED];

static const int sizes[][2] = {{1, 1}, {24, 96}, {7, 33}, {70, 300}, {64, 128}, {3, 17}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill(real *out, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
}

static void multiply(int m, int n, int count)
{
    const real *from[VECTORS];
    real *to[VECTORS];
    for (int i = 0; i < count; i++) from[i] = x[i], to[i] = y[i];
    rw_packed_product(m, n, packed, count, from, to, false);
}

static void pack(int m, int n, bool transpose)
{
    fill(matrix, (size_t)m * (size_t)n, 1);
    for (int i = 0; i < VECTORS; i++) fill(x[i], (size_t)m, 2 + (uint64_t)i);
    for (int panel = 0; panel < rw_panels(n); panel++)
        rw_pack_panel(m, n, matrix, transpose, panel, packed);
}

static void check_value(int m, int n, bool transpose, int i, int j)
{
    double wanted = 0, tolerance = (sizeof(real) == 8 ? 1e-14 : 1e-6) * m;
    for (int k = 0; k < m; k++)
        wanted += (double)x[i][k] * (double)matrix[transpose ? j * m + k : k * n + j];
    if (!(fabs((double)y[i][j] - wanted) <= tolerance))
        fail_msg("(%d, %d), vector %d: element %d is %g, not %g", m, n, i, j, (double)y[i][j],
                 wanted);
}

static void test_values(void **unused)
{
    (void)unused;
    for (int s = 0; s < SIZES; s++)
        for (int transpose = 0; transpose < 2; transpose++) {
            int m = sizes[s][0], n = sizes[s][1];
            pack(m, n, transpose);
            multiply(m, n, VECTORS);
            for (int i = 0; i < VECTORS; i++)
                for (int j = 0; j < n; j++) check_value(m, n, transpose, i, j);
        }
}

static void test_bits(void **unused)
{
    (void)unused;
    for (int s = 0; s < SIZES; s++) {
        int m = sizes[s][0], n = sizes[s][1];
        pack(m, n, false);
        for (int count = 1; count <= VECTORS; count++) {
            multiply(m, n, count);
            for (int i = 0; i < count; i++) {
                const real *from = x[i];
                real *to = alone;
                rw_packed_product(m, n, packed, 1, &from, &to, true);
                assert_memory_equal(y[i], alone, rw_packed_columns(n) * sizeof(real));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests_name("packed product", tests, NULL, NULL);
}
