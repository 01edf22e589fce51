/* The losses with an output projection, where rows have no target: loss, losses of rows,
 * count of right rows and gradients are those of plain loops over the other rows, and have
 * the bits of a call that gets the other rows alone. Rows without a target hold NAN. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "graph/graph.h"
#include "data/target.h"

/* 4096 scores a row: several blocks. */
enum { ROWS = 70, IN = 13, LD = 17, MOST_OUT = 4096 };

extern const rw_op rw_op_cross_entropy, rw_op_squared_error;

typedef struct {
    const rw_op *op;
    int out;
} subject;

static const subject subjects[] = {
    {&rw_op_cross_entropy, 7},
    {&rw_op_cross_entropy, MOST_OUT},
    {&rw_op_squared_error, 3},
    {&rw_op_squared_error, MOST_OUT},
};

/* Has row t a target? */
typedef bool pattern(int t);
static bool all_rows(int t)
{
    return t >= 0;
}
static bool no_row(int t)
{
    return t < 0;
}
static bool one_row(int t)
{
    return t == 41;
}
static bool few_rows(int t)
{
    return t % 9 == 4;
}
static bool most_rows(int t)
{
    return t % 9 != 4;
}
static bool last_rows(int t)
{
    return t >= 50;
}
static pattern *const patterns[] = {all_rows, no_row, one_row, few_rows, most_rows, last_rows};

typedef struct {
    int rows;
    real x[ROWS * LD], dx[ROWS * LD], row_loss[ROWS];
    real weight[MOST_OUT * IN], bias[MOST_OUT];
    real dweight[MOST_OUT * IN], dbias[MOST_OUT];
    int32_t targets[ROWS];
    real target_features[ROWS * MOST_OUT];
    double loss, correct;
} problem;

static void fill(size_t count, uint64_t stream, real *out)
{
    rw_random random = rw_random_stream(3, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (real)(rw_random_uniform(random, i) - 0.5);
}

static void make_problem(const subject *s, pattern *counts, problem *p)
{
    rw_random random = rw_random_stream(3, RW_RANDOM_TEST, 9);
    *p = (problem){.rows = ROWS};
    fill(ROWS * LD, 1, p->x);
    fill(ROWS * LD, 2, p->dx);
    fill(MOST_OUT * IN, 3, p->weight);
    fill(MOST_OUT, 4, p->bias);
    fill((size_t)(ROWS * s->out), 5, p->target_features);
    for (int t = 0; t < ROWS; t++) {
        p->targets[t] = (int32_t)rw_random_below(random, (uint64_t)t, (uint64_t)s->out);
        if (counts(t)) continue;
        p->targets[t] = RW_IGNORE;
        p->target_features[t * s->out] = (real)NAN;
        for (int i = 0; i < IN; i++) p->x[t * LD + i] = (real)NAN;
    }
}

/* Rows with a target alone. */
static void keep_counted(const subject *s, pattern *counts, const problem *from, problem *to)
{
    *to = *from;
    to->rows = 0;
    for (int t = 0; t < ROWS; t++) {
        if (!counts(t)) continue;
        int row = to->rows++;
        memcpy(to->x + row * LD, from->x + t * LD, LD * sizeof(real));
        memcpy(to->dx + row * LD, from->dx + t * LD, LD * sizeof(real));
        memcpy(to->target_features + row * s->out, from->target_features + t * s->out,
               (size_t)s->out * sizeof(real));
        to->targets[row] = from->targets[t];
    }
}

static rw_node node_of(const subject *s)
{
    rw_node node = {.op = s->op,
                    .ins = 1,
                    .in_width = {IN},
                    .params = s->op == &rw_op_squared_error ? 2 : 1,
                    .param_rows = {s->out, 1},
                    .param_cols = {IN, s->out}};
    assert_int_equal(s->op->shape(&node, &node.out_width), RW_OK);
    assert_int_equal(rw_node_set(&node, &(rw_setting){.chunk = ROWS}), RW_OK);
    return node;
}

static rw_call call_of(const rw_node *node, problem *p)
{
    rw_call call = {.node = node, .rows = p->rows, .loss = {.scale = (real)0.5}};
    call.in[0] = p->x, call.in_ld[0] = call.back.din_ld[0] = LD;
    call.param[0] = p->weight, call.param[1] = p->bias;
    call.back.dparam[0] = p->dweight, call.back.dparam[1] = p->dbias;
    call.data.targets = p->targets, call.data.target_features = p->target_features;
    call.loss.sum = &p->loss, call.loss.rows = p->row_loss;
    return call;
}

/* Forward twice: the second call adds as much to the sums. Then backward, with the same loss. */
static void run(const subject *s, bool add, problem *p)
{
    rw_node node = node_of(s);
    real *derived = NULL, *scratch = NULL;
    assert_int_equal(rw_alloc(node.size.derived, sizeof(real), "a test", &derived), RW_OK);
    assert_int_equal(rw_alloc(node.size.scratch, sizeof(real), "a test", &scratch), RW_OK);
    rw_call call = call_of(&node, p);
    call.derived = derived, call.scratch = scratch;
    s->op->prepare(&node, call.param, derived, 0, node.size.slices, scratch);
    call.loss.correct = &p->correct;
    s->op->forward(&call);
    const double forward = p->loss, correct = p->correct;
    s->op->forward(&call);
    assert_true(fabs(p->loss - 2 * forward) <= 1e-12 * fabs(forward));
    assert_true(p->correct == 2 * correct);
    p->loss = 0, p->correct = correct;
    call.loss.correct = NULL;
    call.back.din[0] = p->dx, call.back.din_add[0] = add;
    s->op->backward(&call);
    assert_true(p->loss == forward);
    rw_free(&derived);
    rw_free(&scratch);
}

/* ---- The definition ----------------------------------------------------------------- */

/* Scores of row t, then their gradient; returns the loss. */
static double naive_row(const subject *s, const problem *p, int t, double *score, bool *best)
{
    const bool entropy = s->op == &rw_op_cross_entropy;
    double sum = 0;
    *best = true;
    for (int v = 0; v < s->out; v++) {
        score[v] = entropy ? 0 : (double)p->bias[v] - (double)p->target_features[t * s->out + v];
        for (int i = 0; i < IN; i++)
            score[v] += (double)p->weight[v * IN + i] * (double)p->x[t * LD + i];
        sum += entropy ? exp(score[v]) : score[v] * score[v] / s->out;
    }
    if (!entropy) {
        for (int v = 0; v < s->out; v++) score[v] *= 2.0 / s->out;
        return sum;
    }
    const double at_target = score[p->targets[t]];
    for (int v = 0; v < s->out; v++) {
        *best = *best && score[v] <= at_target;
        score[v] = exp(score[v]) / sum - (v == p->targets[t]);
    }
    return log(sum) - at_target;
}

static void assert_close(double got, double wanted, double size)
{
    const double tolerance = (sizeof(real) == 8 ? 1e-12 : 2e-5) * size;
    if (!(fabs(got - wanted) <= tolerance)) fail_msg("%g, not %g", got, wanted);
}

/* Adds what row t says to the gradients of the parameters. */
static void add_row(const subject *s, const problem *p, int t, const double *score, double *dweight,
                    double *dbias)
{
    for (int v = 0; v < s->out; v++) {
        dbias[v] += 0.5 * score[v];
        for (int i = 0; i < IN; i++)
            dweight[v * IN + i] += 0.5 * score[v] * (double)p->x[t * LD + i];
    }
}

static void assert_input_gradient(const subject *s, const problem *p, int t, const double *score,
                                  const real *before)
{
    for (int i = 0; i < IN; i++) {
        double sum = before ? (double)before[i] : 0;
        for (int v = 0; v < s->out; v++) sum += 0.5 * score[v] * (double)p->weight[v * IN + i];
        assert_close((double)p->dx[t * LD + i], sum, 1);
    }
}

static void assert_untouched(const problem *p, const problem *before, int t, bool add)
{
    assert_true(p->row_loss[t] == 0);
    for (int i = 0; i < IN; i++)
        assert_true(p->dx[t * LD + i] == (add ? before->dx[t * LD + i] : 0));
}

static void assert_naive(const subject *s, pattern *counts, bool add, const problem *p,
                         const problem *before)
{
    static double score[MOST_OUT], dweight[MOST_OUT * IN], dbias[MOST_OUT];
    double loss = 0, correct = 0;
    memset(dweight, 0, sizeof dweight);
    memset(dbias, 0, sizeof dbias);
    for (int t = 0; t < ROWS; t++) {
        bool best;
        if (!counts(t)) {
            assert_untouched(p, before, t, add);
            continue;
        }
        double of_row = naive_row(s, p, t, score, &best);
        loss += of_row;
        correct += best;
        assert_close((double)p->row_loss[t], of_row, 1 + of_row);
        assert_input_gradient(s, p, t, score, add ? before->dx + t * LD : NULL);
        add_row(s, p, t, score, dweight, dbias);
    }
    assert_close(p->loss, loss, 1 + loss);
    if (s->op == &rw_op_cross_entropy) assert_true(p->correct == correct);
    for (int i = 0; i < s->out * IN; i++) assert_close((double)p->dweight[i], dweight[i], 1);
    for (int v = 0; v < s->out && s->op == &rw_op_squared_error; v++)
        assert_close((double)p->dbias[v], dbias[v], 1);
}

/* ---- Tests -------------------------------------------------------------------------- */

static void assert_same_bits(const problem *p, pattern *counts, const problem *dense)
{
    int row = 0;
    for (int t = 0; t < ROWS; t++) {
        if (!counts(t)) continue;
        assert_memory_equal(p->dx + t * LD, dense->dx + row * LD, IN * sizeof(real));
        assert_true(p->row_loss[t] == dense->row_loss[row++]);
    }
    assert_true(p->loss == dense->loss);
    assert_true(p->correct == dense->correct);
    assert_memory_equal(p->dweight, dense->dweight, sizeof p->dweight);
    assert_memory_equal(p->dbias, dense->dbias, sizeof p->dbias);
}

static void check(const subject *s, pattern *counts, bool add)
{
    static problem before, p, dense;
    make_problem(s, counts, &before);
    keep_counted(s, counts, &before, &dense);
    p = before;
    run(s, add, &p);
    run(s, add, &dense);
    assert_naive(s, counts, add, &p, &before);
    assert_same_bits(&p, counts, &dense);
}

static void test_rows_without_target(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
            check(&subjects[i], patterns[k], false);
            check(&subjects[i], patterns[k], true);
        }
}

/* The gradient of x is not always wanted. */
static void test_without_input_gradient(void **unused)
{
    static problem with, without;
    const subject *s = &subjects[0];
    rw_node node = node_of(s);
    real *derived = NULL, *scratch = NULL;
    (void)unused;
    make_problem(s, few_rows, &with);
    without = with;
    run(s, false, &with);
    assert_int_equal(rw_alloc(node.size.derived, sizeof(real), "a test", &derived), RW_OK);
    assert_int_equal(rw_alloc(node.size.scratch, sizeof(real), "a test", &scratch), RW_OK);
    rw_call call = call_of(&node, &without);
    call.derived = derived, call.scratch = scratch;
    s->op->prepare(&node, call.param, derived, 0, node.size.slices, scratch);
    s->op->backward(&call);
    assert_true(with.loss == without.loss);
    assert_memory_equal(with.dweight, without.dweight, sizeof with.dweight);
    rw_free(&derived);
    rw_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_without_target),
        cmocka_unit_test(test_without_input_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
