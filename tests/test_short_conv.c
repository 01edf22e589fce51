/* The short convolution: its kernel against the plain sums, cut anywhere into
 * chunks; its gradients; and what its op refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/depthwise.h"
#include "graph/graph.h"

#define EPSILON (sizeof(real) == 8 ? 1e-12 : 1e-5)

extern const rw_op rw_op_short_conv;

/* A sequence of `rows` tokens behind K-1 tokens that stand before it. */
typedef struct {
    rw_depthwise conv;
    size_t edge, inner, weights; /* reals of before, x and weight */
    real *before, *x, *weight, *bias, *y, *dy, *after, *tail;
    real *dbefore, *dx, *dweight, *dbias, *scratch;
} problem;

static real *array(size_t count, uint64_t stream)
{
    real *out;
    rw_random random = rw_random_stream(5, RW_RANDOM_TEST, stream);
    assert_int_equal(rw_alloc(count, sizeof(real), "test", &out), RW_OK);
    for (size_t i = 0; stream > 0 && i < count; i++)
        out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
    return out;
}

static void make(problem *p, int rows, int channels, int taps, bool silu)
{
    size_t width = (size_t)channels;
    p->edge = (size_t)(taps - 1) * width;
    p->inner = (size_t)rows * width;
    p->weights = (size_t)taps * width;
    p->before = array(p->edge, 1), p->x = array(p->inner, 2), p->weight = array(p->weights, 3);
    p->bias = array(width, 4), p->dy = array(p->inner, 5), p->after = array(p->edge, 6);
    p->y = array(p->inner, 0), p->tail = array(p->edge, 0), p->dbefore = array(p->edge, 0);
    p->dx = array(p->inner, 0), p->dweight = array(p->weights, 0), p->dbias = array(width, 0);
    p->scratch = array(rw_depthwise_scratch_reals(taps), 0);
    p->conv =
        (rw_depthwise){rows, channels, taps, silu, p->weight, p->bias, p->before, p->x, channels};
}

static void drop(problem *p)
{
    rw_free(&p->before), rw_free(&p->x), rw_free(&p->weight), rw_free(&p->bias);
    rw_free(&p->dy), rw_free(&p->after), rw_free(&p->y), rw_free(&p->tail);
    rw_free(&p->dbefore), rw_free(&p->dx), rw_free(&p->dweight), rw_free(&p->dbias);
    rw_free(&p->scratch);
}

static real *dirty(problem *p)
{
    size_t count = rw_depthwise_scratch_reals(p->conv.taps);
    for (size_t i = 0; i < count; i++) p->scratch[i] = (real)NAN;
    return p->scratch;
}

static double token(const problem *p, int t, int c)
{
    int width = p->conv.channels;
    return t >= 0 ? p->x[t * width + c] : p->before[(t + p->conv.taps - 1) * width + c];
}

static double expected(const problem *p, int t, int c)
{
    int taps = p->conv.taps;
    double sum = p->bias[c];
    for (int k = 0; k < taps; k++) sum += p->weight[c * taps + k] * token(p, t - (taps - 1) + k, c);
    return p->conv.silu ? sum / (1 + exp(-sum)) : sum;
}

static void assert_near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance)) fail_msg("%.10g is not %.10g", value, wanted);
}

static const int sizes[][3] = {/* rows, channels, taps */
                               {1, 1, 2},    {2, 5, 4},   {9, 64, 4},  {33, 65, 3},
                               {20, 130, 7}, {3, 257, 5}, {12, 600, 4}};
#define SIZES (sizeof sizes / sizeof *sizes)

static void test_forward_is_the_sum(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 2 * SIZES; i++) {
        problem p;
        make(&p, sizes[i / 2][0], sizes[i / 2][1], sizes[i / 2][2], i % 2);
        rw_depthwise_forward(&p.conv, p.y, p.conv.channels, dirty(&p));
        for (int t = 0; t < p.conv.rows; t++)
            for (int c = 0; c < p.conv.channels; c++)
                assert_near(p.y[t * p.conv.channels + c], expected(&p, t, c), EPSILON);
        drop(&p);
    }
}

/* The tail of each part is what stands before the next, bit for bit. */
static void test_chunks_compose(void **unused)
{
    (void)unused;
    const int cuts[] = {0, 3, 4, 6, 25};
    problem p;
    make(&p, 25, 70, 4, true);
    rw_depthwise_forward(&p.conv, p.y, 70, dirty(&p));
    for (int i = 0; i < 4; i++) {
        rw_depthwise part = p.conv;
        part.rows = cuts[i + 1] - cuts[i];
        part.x = p.x + cuts[i] * 70;
        rw_depthwise_forward(&part, p.dy + cuts[i] * 70, 70, p.scratch);
        rw_depthwise_tail(&part, p.tail);
        memcpy(p.before, p.tail, sizeof(real) * p.edge);
    }
    assert_memory_equal(p.y, p.dy, sizeof(real) * p.inner);
    drop(&p);
}

/* loss = <dy, y> + <after, the last K-1 tokens> */
static double loss(problem *p)
{
    int edge = p->conv.taps - 1;
    double sum = 0;
    for (int t = 0; t < p->conv.rows; t++)
        for (int c = 0; c < p->conv.channels; c++)
            sum += p->dy[t * p->conv.channels + c] * expected(p, t, c);
    rw_depthwise_tail(&p->conv, p->tail);
    for (int i = 0; i < edge * p->conv.channels; i++) sum += (double)p->after[i] * p->tail[i];
    return sum;
}

static void check_gradient(problem *p, real *at, const real *gradient, size_t count)
{
    double step = sizeof(real) == 8 ? 1e-5 : 1.0 / 128;
    for (size_t i = 0; i < count; i += 1 + count / 50) {
        real kept = at[i];
        at[i] = (real)(kept + step);
        double up = loss(p);
        at[i] = (real)(kept - step);
        double down = loss(p);
        at[i] = kept;
        assert_near(gradient[i], (up - down) / (2 * step), sizeof(real) == 8 ? 1e-7 : 2e-3);
    }
}

static void test_gradients(void **unused)
{
    (void)unused;
    for (size_t i = 2; i < 2 * SIZES; i++) { /* the tail within the rows */
        problem p;
        make(&p, sizes[i / 2][0] + 4, sizes[i / 2][1], sizes[i / 2][2], i % 2);
        rw_depthwise_grad grad = {.x = p.dx,
                                  .ldx = p.conv.channels,
                                  .weight = p.dweight,
                                  .bias = p.dbias,
                                  .before = p.dbefore};
        rw_depthwise_backward(&p.conv, p.dy, p.conv.channels, p.after, &grad, dirty(&p));
        check_gradient(&p, p.x, p.dx, p.inner);
        check_gradient(&p, p.weight, p.dweight, p.weights);
        check_gradient(&p, p.bias, p.dbias, (size_t)p.conv.channels);
        check_gradient(&p, p.before, p.dbefore, p.edge);
        drop(&p);
    }
}

static void test_gradients_add(void **unused)
{
    (void)unused;
    problem p;
    make(&p, 9, 5, 4, true);
    rw_depthwise_grad grad = {.x = p.dx, .ldx = 5};
    rw_depthwise_backward(&p.conv, p.dy, 5, p.after, &grad, dirty(&p));
    memcpy(p.y, p.dx, sizeof(real) * p.inner);
    for (size_t i = 0; i < p.inner; i++) p.dx[i] = 1;
    grad.add = true;
    rw_depthwise_backward(&p.conv, p.dy, 5, p.after, &grad, dirty(&p));
    for (size_t i = 0; i < p.inner; i++) assert_near(p.dx[i], 1 + p.y[i], EPSILON);
    drop(&p);
}

static void test_op_refuses_chunks_shorter_than_its_reach(void **unused)
{
    (void)unused;
    const struct {
        int taps;
        bool silu;
    } attributes = {.taps = 4}; /* as rw_short_conv passes them */ /* as rw_short_conv makes them */
    rw_node node = {.op = &rw_op_short_conv,
                    .ins = 1,
                    .in_width = {8},
                    .params = 2,
                    .param_rows = {8, 1},
                    .param_cols = {4, 8},
                    .attributes = &attributes};
    assert_int_equal(rw_op_short_conv.shape(&node, &node.out_width), RW_OK);
    assert_int_equal(node.out_width, 8);
    assert_int_equal(rw_node_set(&node, &(rw_setting){.chunk = 3}), RW_OK);
    assert_int_equal(node.size.state, 24);
    rw_clear_message();
    assert_int_equal(rw_node_set(&node, &(rw_setting){.chunk = 2}), RW_USAGE);
    assert_non_null(strstr(rw_message(), "model.chunk to at least 3"));
    node.in_width[0] = 9;
    assert_int_equal(rw_op_short_conv.shape(&node, &node.out_width), RW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_is_the_sum),
        cmocka_unit_test(test_chunks_compose),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_gradients_add),
        cmocka_unit_test(test_op_refuses_chunks_shorter_than_its_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
