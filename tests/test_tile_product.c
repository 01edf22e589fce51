/* The product of small matrices against the definition: shapes around every edge of a
 * tile, operands with gaps and transposed, written and added; nothing else is touched. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/tile_product.h"

enum { MOST = 70, GAP = 3, LD = MOST + GAP };

typedef struct {
    real *a, *b, *c, *before;
} matrices;

static real *random_reals(uint64_t stream)
{
    rw_random random = rw_random_stream(5, RW_RANDOM_TEST, stream);
    real *out;
    assert_int_equal(rw_alloc((size_t)MOST * LD, sizeof(real), "test", &out), RW_OK);
    for (uint64_t i = 0; i < (uint64_t)MOST * LD; i++)
        out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
    return out;
}

static double wanted(const matrices *x, int i, int j, int k, bool transposed, real keep)
{
    double sum = keep != 0 ? (double)keep * (double)x->before[i * LD + j] : 0;
    for (int s = 0; s < k; s++)
        sum += (double)x->a[transposed ? s * LD + i : i * LD + s] * (double)x->b[s * LD + j];
    return sum;
}

static void check(const matrices *x, int m, int n, int k, bool transposed, real keep)
{
    const double tolerance = (k + 1) * (sizeof(real) == 8 ? 1e-15 : 5e-7);
    const rw_strided a = {x->a, transposed ? 1 : LD, transposed ? LD : 1};
    for (int i = 0; i < MOST * LD; i++) x->c[i] = x->before[i];
    for (int i = 0; keep == 0 && i < m; i++)
        for (int j = 0; j < n; j++) x->c[i * LD + j] = (real)NAN;
    rw_tile_product(m, n, k, a, x->b, LD, keep, x->c, LD);
    for (int i = 0; i < MOST; i++)
        for (int j = 0; j < LD; j++) {
            const double value = (double)x->c[i * LD + j];
            if (i >= m || j >= n)
                assert_true(x->c[i * LD + j] == x->before[i * LD + j]);
            else if (!(fabs(value - wanted(x, i, j, k, transposed, keep)) <= tolerance))
                fail_msg("(%d, %d, %d): element (%d, %d) is %g", m, n, k, i, j, value);
        }
}

static void test_is_the_definition(void **unused)
{
    static const int rows[] = {1, 2, 5, 6, 7, 11, 12, 13, 25, 32, 70};
    static const int columns[] = {1, 4, 7, 8, 9, 16, 17, 31, 32, 33, 64, 70};
    static const real keeps[] = {0, 1, (real)0.7};
    static const int inner[] = {0, 1, 2, 33};
    matrices x = {random_reals(1), random_reals(2), random_reals(3), random_reals(4)};
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof columns / sizeof *columns; j++)
            for (size_t k = 0; k < sizeof inner / sizeof *inner; k++)
                for (int how = 0; how < 6; how++)
                    check(&x, rows[i], columns[j], inner[k], how & 1, keeps[how / 2]);
    rw_free(&x.a), rw_free(&x.b), rw_free(&x.c), rw_free(&x.before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_is_the_definition)};
    return cmocka_run_group_tests_name("products of tiles", tests, NULL, NULL);
}
