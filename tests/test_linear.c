/* The linear op: against its reference, and its gradients by the identities of
 * a map that is linear in x and in W. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "graph/graph.h"

#define EPSILON (sizeof(real) == 8 ? 1e-12 : 1e-5)

enum { ROWS = 7, IN = 5, OUT = 9, LD = 11 };

extern const rw_op rw_op_linear;

typedef struct {
    rw_node node;
    rw_call call;
    real x[ROWS * LD], weight[OUT * IN], bias[OUT], y[ROWS * LD], dy[ROWS * LD];
    real dx[ROWS * LD], dweight[OUT * IN], dbias[OUT];
    real derived[2 * RW_LANES * 2 * (OUT + IN)]; /* both forms of the weight, in panels */
} problem;

static void fill(real *out, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
}

static void make(problem *p, int params)
{
    memset(p, 0, sizeof *p);
    fill(p->x, ROWS * LD, 1), fill(p->weight, OUT * IN, 2), fill(p->bias, OUT, 3);
    fill(p->dy, ROWS * LD, 4);
    p->node = (rw_node){.op = &rw_op_linear,
                        .ins = 1,
                        .in_width = {IN},
                        .params = params,
                        .param_rows = {OUT, 1},
                        .param_cols = {IN, OUT}};
    assert_int_equal(rw_op_linear.shape(&p->node, &p->node.out_width), RW_OK);
    assert_int_equal(rw_node_set(&p->node, &(rw_setting){.chunk = ROWS}), RW_OK);
    assert_int_equal(p->node.out_width, OUT);
    const real *const param[] = {p->weight, p->bias};
    assert_true(p->node.size.derived <= sizeof p->derived / sizeof(real));
    rw_op_linear.prepare(&p->node, param, p->derived, 0, p->node.size.slices, NULL);
    p->call = (rw_call){.node = &p->node,
                        .derived = p->derived,
                        .rows = ROWS,
                        .in = {p->x},
                        .in_ld = {LD},
                        .out = p->y,
                        .out_ld = LD,
                        .param = {p->weight, p->bias},
                        .back = {.dout = p->dy,
                                 .dout_ld = LD,
                                 .din = {p->dx},
                                 .din_ld = {LD},
                                 .dparam = {p->dweight, p->dbias}}};
}

static void assert_near(double value, double wanted)
{
    if (!(fabs(value - wanted) <= EPSILON * (1 + fabs(wanted))))
        fail_msg("%.10g is not %.10g", value, wanted);
}

static double inner(const real *a, int lda, const real *b, int ldb, int rows, int columns)
{
    double sum = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) sum += (double)a[i * lda + j] * b[i * ldb + j];
    return sum;
}

static void test_forward_is_the_reference(void **unused)
{
    (void)unused;
    for (int params = 1; params <= 2; params++) {
        problem p;
        real fast[ROWS * LD];
        make(&p, params);
        for (int i = 0; i < ROWS * LD; i++) p.y[i] = (real)NAN;
        rw_op_linear.forward(&p.call);
        memcpy(fast, p.y, sizeof fast);
        rw_op_linear.reference(&p.call);
        for (int t = 0; t < ROWS; t++)
            for (int j = 0; j < OUT; j++) assert_near(fast[t * LD + j], p.y[t * LD + j]);
        assert_true(isnan(fast[OUT])); /* nothing is written between the rows */
    }
}

/* <dy, x W^T> = <dx, x> = <dW, W>, and db is the sum of dy. */
static void test_backward_is_the_transpose(void **unused)
{
    (void)unused;
    problem p, linear;
    make(&p, 2);
    make(&linear, 1);
    rw_op_linear.forward(&linear.call);
    double loss = inner(linear.y, LD, linear.dy, LD, ROWS, OUT);
    for (int i = 0; i < ROWS * LD; i++) p.dx[i] = (real)NAN;
    rw_op_linear.backward(&p.call);
    assert_near(inner(p.dx, LD, p.x, LD, ROWS, IN), loss);
    assert_near(inner(p.dweight, IN, p.weight, IN, OUT, IN), loss);
    for (int j = 0; j < OUT; j++) {
        double sum = 0;
        for (int t = 0; t < ROWS; t++) sum += p.dy[t * LD + j];
        assert_near(p.dbias[j], sum);
    }
}

static void test_backward_adds(void **unused)
{
    (void)unused;
    problem p;
    real dx[ROWS * LD], dweight[OUT * IN];
    make(&p, 2);
    rw_op_linear.backward(&p.call);
    memcpy(dx, p.dx, sizeof dx);
    memcpy(dweight, p.dweight, sizeof dweight);
    p.call.back.din_add[0] = true;
    rw_op_linear.backward(&p.call);
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < IN; i++) assert_near(p.dx[t * LD + i], 2 * dx[t * LD + i]);
    for (int i = 0; i < OUT * IN; i++) assert_near(p.dweight[i], 2 * dweight[i]);
    p.call.back.din[0] = NULL;
    rw_op_linear.backward(&p.call);
    for (int i = 0; i < OUT * IN; i++) assert_near(p.dweight[i], 3 * dweight[i]);
}

static void test_shapes_that_do_not_fit(void **unused)
{
    (void)unused;
    problem p;
    make(&p, 2);
    p.node.in_width[0] = IN + 1;
    rw_clear_message();
    assert_int_equal(rw_op_linear.shape(&p.node, &p.node.out_width), RW_USAGE);
    assert_non_null(strstr(rw_message(), "width 6"));
    p.node.in_width[0] = IN;
    p.node.param_cols[1] = OUT - 1;
    assert_int_equal(rw_op_linear.shape(&p.node, &p.node.out_width), RW_USAGE);
    p.node.params = 3;
    assert_int_equal(rw_op_linear.shape(&p.node, &p.node.out_width), RW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_is_the_reference),
        cmocka_unit_test(test_backward_is_the_transpose),
        cmocka_unit_test(test_backward_adds),
        cmocka_unit_test(test_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
