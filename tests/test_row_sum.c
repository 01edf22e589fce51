/* Sums over a row: the order of additions that kernels/row_sum.h promises, for rows of any
 * length and at any address. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/random.h"
#include "kernels/row_sum.h"

enum { MOST = 200, PLACES = 17 };

static real x[MOST + PLACES], y[MOST + PLACES];

static void fill(void)
{
    rw_random random = rw_random_stream(5, RW_RANDOM_TEST, 0);
    for (int i = 0; i < MOST + PLACES; i++) {
        x[i] = (real)rw_random_normal(random, (uint64_t)i);
        y[i] = (real)rw_random_normal(random, (uint64_t)(i + MOST + PLACES));
    }
}

static real in_order(int n, const real *of)
{
    volatile real lane[RW_SUM_LANES] = {0}; /* keeps the compiler from another order */
    for (int i = 0; i < n; i++) lane[i % RW_SUM_LANES] += of[i];
    for (int half = RW_SUM_LANES / 2; half >= 1; half /= 2)
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    return lane[0];
}

static void test_sum(void **unused)
{
    (void)unused;
    for (int n = 0; n <= MOST; n++)
        for (int place = 0; place < PLACES; place++)
            assert_true(rw_row_sum(n, x + place) == in_order(n, x + place));
}

/* Products may be rounded or not. */
static void test_dot(void **unused)
{
    (void)unused;
    for (int n = 0; n <= MOST; n++)
        for (int place = 0; place < PLACES; place++) {
            double sum = 0, size = 1;
            for (int i = 0; i < n; i++) {
                sum += (double)x[place + i] * (double)y[i];
                size += fabs((double)x[place + i] * (double)y[i]);
            }
            double off = fabs((double)rw_row_dot(n, x + place, y) - sum);
            assert_true(off <= (sizeof(real) == 8 ? 1e-15 : 1e-6) * size);
        }
}

/* The address makes no difference. */
static void test_address(void **unused)
{
    static real moved[MOST + PLACES];
    (void)unused;
    for (int n = 0; n <= MOST; n++)
        for (int place = 0; place < PLACES; place++) {
            for (int i = 0; i < n; i++) moved[place + i] = x[i];
            assert_true(rw_row_dot(n, moved + place, y) == rw_row_dot(n, x, y));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_address),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
