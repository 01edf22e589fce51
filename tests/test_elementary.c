/* Elementary functions against libm over their range, and at its ends: vectors of them, as
 * compilers make of loops, and what is neither number nor finite. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "kernels/elementary.h"

enum { COUNT = 4001 };

typedef double exact_function(double x);

static real x[COUNT], y[COUNT];

static void fill(double from, double to)
{
    for (int i = 0; i < COUNT; i++) x[i] = (real)(from + (to - from) * i / (COUNT - 1));
}

/* Within `relative` of the value, or within `absolute`. */
static void assert_near(exact_function *exact, double relative, double absolute)
{
    for (int i = 0; i < COUNT; i++) {
        double want = exact(x[i]), error = fabs((double)y[i] - want);
        if (!(error <= relative * fabs(want) + absolute))
            fail_msg("at %.9g: %.9g, not %.9g", (double)x[i], (double)y[i], want);
    }
}

static double exact_sigmoid(double at)
{
    return 1 / (1 + exp(-at));
}

static double exact_softplus(double at)
{
    return (at > 0 ? at : 0) + log1p(exp(-fabs(at)));
}

static void test_values(void **state)
{
    (void)state;
    const double few = 4 * (sizeof(real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON);
    fill(-86, 87);
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp(x[i]);
    assert_near(exp, few, 0);
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp2(x[i]);
    assert_near(exp2, few, 0);
    for (int i = 0; i < COUNT; i++) y[i] = rw_sigmoid(x[i]);
    assert_near(exact_sigmoid, few, 0);
    for (int i = 0; i < COUNT; i++) y[i] = rw_softplus_value(x[i]);
    assert_near(exact_softplus, few, few);
    for (int i = 0; i < COUNT; i++) y[i] = rw_tanh(x[i]);
    assert_near(tanh, few, few);
}

/* A rest that would be lost in the sum counts in full. */
static void test_exponential_of_a_sum(void **state)
{
    (void)state;
    const double few = 4 * (sizeof(real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON);
    const real rest = (real)(64 * few);
    fill(-125, 126);
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp2_of_sum(x[i], rest);
    for (int i = 0; i < COUNT; i++) {
        double want = exp2((double)x[i]) * exp2((double)rest);
        assert_true(fabs((double)y[i] - want) <= few * want);
    }
    assert_true(rw_exp2_of_sum(0, 0) == 1);
}

/* Beyond the range: bounded, never infinite nor of the wrong sign, and softmax of what is
 * masked by -infinity is nothing. */
static void test_saturation(void **state)
{
    (void)state;
    fill(-1e6, 1e6);
    x[0] = (real)-INFINITY;
    x[COUNT - 1] = (real)INFINITY;
    for (int i = 0; i < COUNT; i++) y[i] = rw_sigmoid(x[i]);
    assert_near(exact_sigmoid, 1e-6, 1e-37);
    for (int i = 0; i < COUNT; i++) y[i] = rw_tanh(x[i]);
    assert_near(tanh, 1e-6, 0);
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp(x[i] < 0 ? x[i] : -x[i]);
    for (int i = 0; i < COUNT; i++)
        if (x[i] != 0) assert_true(y[i] >= 0 && y[i] < (real)1e-37);
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp2(x[i] < 0 ? x[i] : -x[i]);
    for (int i = 0; i < COUNT; i++)
        if (x[i] != 0) assert_true(y[i] >= 0 && y[i] < (real)1e-37);
    assert_true(rw_exp2(0) == 1);
}

/* A training step is dropped if its loss is no number: it must become none. */
static void test_not_a_number_passes(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) x[i] = (real)(i % 3 ? NAN : -NAN);
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp(x[i]) * rw_sigmoid(x[i]);
    for (int i = 0; i < COUNT; i++) assert_true(isnan(y[i]));
    for (int i = 0; i < COUNT; i++) y[i] = rw_exp2(x[i]);
    for (int i = 0; i < COUNT; i++) assert_true(isnan(y[i]));
    for (int i = 0; i < COUNT; i++) y[i] = rw_sigmoid(x[i]);
    for (int i = 0; i < COUNT; i++) assert_true(isnan(y[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_exponential_of_a_sum),
        cmocka_unit_test(test_saturation),
        cmocka_unit_test(test_not_a_number_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
