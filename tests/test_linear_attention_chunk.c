/* Linear attention on chunks, with every decay: against its recurrence, and its
 * gradients against differences of a loss that uses both outputs of a chunk,
 *   loss = <dy, y> + <g, map S_in + state>. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/linear_attention_chunk.h"

#define EPSILON (sizeof(real) == 8 ? 1e-11 : 1e-5)

enum { Q, K, V, GATE, S_IN, INPUTS };
enum { PAD = 3 }; /* columns between those of an input and the next row */

/* A chunk, all that goes into it and all that comes out. */
typedef struct {
    rw_linear_attention chunk;
    int width, ld[INPUTS]; /* width: H V */
    size_t count[INPUTS];
    real *in[INPUTS], *grad[INPUTS];
    real *y, *dy, *map, *state, *g, *scratch;
    size_t scratch_reals;
} problem;

static void allocate(real **out, size_t count)
{
    assert_int_equal(rw_alloc(count, sizeof(real), "test", out), RW_OK);
}

static void fill(real *out, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(3, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
}

static void poison(real *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = (real)NAN;
}

static void point_chunk(problem *p)
{
    rw_linear_attention *c = &p->chunk;
    c->q = p->in[Q], c->q_ld = p->ld[Q];
    c->k = p->in[K], c->k_ld = p->ld[K];
    c->v = p->in[V], c->v_ld = p->ld[V];
    c->gate = c->decay == RW_DECAY_CHANNEL ? p->in[GATE] : NULL, c->gate_ld = p->ld[GATE];
}

typedef struct {
    int rows, heads, key, value;
} sizes;

static void make(problem *p, sizes s, rw_decay decay)
{
    const int columns[] = {s.heads * s.key, s.heads * s.key, s.heads * s.value, s.heads * s.key};
    memset(p, 0, sizeof *p);
    p->chunk = (rw_linear_attention){s.rows, s.heads, s.key, s.value, decay, .scale = (real)0.7};
    p->width = s.heads * s.value;
    p->count[S_IN] = (size_t)(s.heads * s.key) * (size_t)s.value;
    for (int i = 0; i < S_IN; i++) {
        p->ld[i] = columns[i] + PAD;
        p->count[i] = (size_t)s.rows * (size_t)p->ld[i];
    }
    for (int i = 0; i < INPUTS; i++) {
        allocate(&p->in[i], p->count[i]);
        allocate(&p->grad[i], p->count[i]);
        fill(p->in[i], p->count[i], (uint64_t)i + 10);
    }
    /* Gates below -16 are at the floor: some are. */
    for (size_t i = 0; i < p->count[GATE]; i++) p->in[GATE][i] *= i % 5 ? 8 : 24;
    size_t outputs = (size_t)s.rows * (size_t)p->width;
    p->scratch_reals = rw_linear_attention_scratch(s.rows, s.key, s.value);
    allocate(&p->y, outputs);
    allocate(&p->dy, outputs);
    allocate(&p->map, rw_linear_attention_map(s.heads, s.key, decay));
    allocate(&p->state, p->count[S_IN]);
    allocate(&p->g, p->count[S_IN]);
    allocate(&p->scratch, p->scratch_reals);
    fill(p->dy, outputs, 30);
    fill(p->g, p->count[S_IN], 31);
    point_chunk(p);
}

static void drop(problem *p)
{
    for (int i = 0; i < INPUTS; i++) rw_free(&p->in[i]), rw_free(&p->grad[i]);
    rw_free(&p->y), rw_free(&p->dy), rw_free(&p->map);
    rw_free(&p->state), rw_free(&p->g), rw_free(&p->scratch);
}

static real *dirty(problem *p)
{
    poison(p->scratch, p->scratch_reals);
    return p->scratch;
}

static double inner(const real *a, const real *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void assert_near(double value, double expected, double scale, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance * (scale > 1 ? scale : 1)))
        fail_msg("%.10g is not %.10g (scale %g)", value, expected, scale);
}

/* y = map x + b over all heads. */
static void advance(const problem *p, const real *x, const real *b, real *y)
{
    const rw_linear_attention *c = &p->chunk;
    rw_linear_attention_advance(c->key, c->value, c->decay, p->map, 0, c->heads, x, b, y);
}

/* ---- Values ------------------------------------------------------------------- */

static const sizes all_sizes[] = {{1, 1, 1, 1},   {7, 2, 3, 4},   {31, 2, 5, 8},
                                  {32, 1, 16, 9}, {33, 2, 17, 7}, {64, 3, 4, 5},
                                  {65, 2, 20, 8}, {200, 2, 4, 8}, {50, 2, 45, 65}};
enum { SIZES = sizeof all_sizes / sizeof *all_sizes };

static void check_forward(problem *p)
{
    size_t count = (size_t)p->chunk.rows * (size_t)p->width;
    poison(p->y, count);
    rw_linear_attention_forward(&p->chunk, NULL, p->y, p->width, dirty(p));
    rw_linear_attention_reference(&p->chunk, p->dy, p->width);
    double scale = sqrt(inner(p->dy, p->dy, count));
    for (size_t k = 0; k < count; k++) assert_near(p->y[k], p->dy[k], scale, EPSILON);
}

static void test_forward_is_the_recurrence(void **decay)
{
    for (int i = 0; i < SIZES; i++) {
        problem p;
        make(&p, all_sizes[i], *(rw_decay *)*decay);
        check_forward(&p);
        drop(&p);
    }
}

/* Every gate at an end of its range: the blocks are as steep as they get. */
static void test_extreme_gates(void **decay)
{
    const real gates[] = {-200, -16, 30, 200};
    for (int i = 0; i < 8; i++) {
        problem p;
        make(&p, (sizes){100, 2, 8, 4}, *(rw_decay *)*decay);
        for (size_t k = 0; k < p.count[GATE]; k += 1 + (size_t)(i / 4))
            p.in[GATE][k] = gates[i % 4];
        check_forward(&p);
        drop(&p);
    }
}

static void test_steps_are_the_recurrence(void **decay)
{
    problem p;
    make(&p, (sizes){100, 2, 8, 5}, *(rw_decay *)*decay);
    rw_linear_attention_reference(&p.chunk, p.y, p.width);
    memset(p.state, 0, sizeof(real) * p.count[S_IN]);
    for (int t = 0; t < 100; t++) {
        rw_linear_attention token = p.chunk;
        token.rows = 1;
        token.q += t * token.q_ld, token.k += t * token.k_ld, token.v += t * token.v_ld;
        if (token.gate) token.gate += t * token.gate_ld;
        rw_linear_attention_step(&token, p.state, p.dy);
        for (int i = 0; i < p.width; i++) assert_near(p.dy[i], p.y[t * p.width + i], 10, EPSILON);
    }
    drop(&p);
}

/* Any cut into chunks gives the same sequence. */
static void test_chunks_compose(void **decay)
{
    const int cuts[] = {0, 1, 17, 81, 82, 150};
    problem p;
    make(&p, (sizes){150, 3, 8, 4}, *(rw_decay *)*decay);
    rw_linear_attention_reference(&p.chunk, p.dy, p.width);
    memset(p.in[S_IN], 0, sizeof(real) * p.count[S_IN]);
    for (int i = 0; i < 5; i++) {
        rw_linear_attention part = p.chunk;
        int first = cuts[i];
        part.rows = cuts[i + 1] - first;
        part.q += first * part.q_ld, part.k += first * part.k_ld, part.v += first * part.v_ld;
        if (part.gate) part.gate += first * part.gate_ld;
        rw_linear_attention_forward(&part, p.in[S_IN], p.y + first * p.width, p.width, dirty(&p));
        rw_linear_attention_summary(&part, p.map, p.state, dirty(&p));
        advance(&p, p.in[S_IN], p.state, p.in[S_IN]);
    }
    for (int k = 0; k < 150 * p.width; k++) assert_near(p.y[k], p.dy[k], 10, EPSILON);
    drop(&p);
}

static void test_nothing_comes_from_the_future(void **decay)
{
    problem p;
    make(&p, (sizes){130, 2, 8, 4}, *(rw_decay *)*decay);
    size_t row = sizeof(real) * (size_t)p.width;
    for (int t = 0; t < 130; t += 43) {
        rw_linear_attention_forward(&p.chunk, p.in[S_IN], p.y, p.width, dirty(&p));
        memcpy(p.dy, p.y, 130 * row);
        for (int i = 0; i < S_IN; i++)
            for (int c = 0; c < p.ld[i]; c++) p.in[i][t * p.ld[i] + c] += 1;
        rw_linear_attention_forward(&p.chunk, p.in[S_IN], p.y, p.width, dirty(&p));
        assert_memory_equal(p.y, p.dy, (size_t)t * row);
        assert_memory_not_equal(p.y + t * p.width, p.dy + t * p.width, row);
    }
    drop(&p);
}

/* ---- Gradients ------------------------------------------------------------------ */

static double loss(problem *p)
{
    size_t states = p->count[S_IN];
    rw_linear_attention_forward(&p->chunk, p->in[S_IN], p->y, p->width, dirty(p));
    rw_linear_attention_summary(&p->chunk, p->map, p->state, dirty(p));
    advance(p, p->in[S_IN], p->state, p->state);
    return inner(p->g, p->state, states) +
           inner(p->dy, p->y, (size_t)p->chunk.rows * (size_t)p->width);
}

static rw_linear_attention_grad gradients_of(problem *p)
{
    rw_linear_attention_target target[S_IN];
    for (int i = 0; i < S_IN; i++)
        target[i] = (rw_linear_attention_target){p->grad[i], p->ld[i], false};
    if (p->chunk.decay != RW_DECAY_CHANNEL) target[GATE].out = NULL;
    return (rw_linear_attention_grad){target[Q], target[K], target[V], target[GATE]};
}

/* Moves an input along a direction by `step`; the derivative there. */
static double slope(problem *p, int input, const real *direction, double step, real *keep)
{
    real *at = p->in[input];
    size_t count = p->count[input];
    memcpy(keep, at, sizeof(real) * count);
    for (size_t i = 0; i < count; i++) at[i] = (real)(keep[i] + step * direction[i]);
    double up = loss(p);
    for (size_t i = 0; i < count; i++) at[i] = (real)(keep[i] - step * direction[i]);
    double down = loss(p);
    memcpy(at, keep, sizeof(real) * count);
    return (up - down) / (2 * step);
}

static void check_slope(problem *p, int input)
{
    real *direction, *keep, *gradient = p->grad[input];
    size_t count = p->count[input];
    allocate(&direction, count);
    allocate(&keep, count);
    fill(direction, count, 77);
    double scale = sqrt(inner(gradient, gradient, count) * inner(direction, direction, count));
    double tolerance = sizeof(real) == 8 ? 1e-7 : 2e-3, step = sizeof(real) == 8 ? 1e-5 : 1e-2;
    assert_near(slope(p, input, direction, step, keep), inner(gradient, direction, count), scale,
                tolerance);
    rw_free(&direction), rw_free(&keep);
}

static void check_gradients(sizes s, rw_decay decay)
{
    problem p;
    make(&p, s, decay);
    rw_linear_attention_grad grad = gradients_of(&p);
    for (int i = 0; i < S_IN; i++)
        for (size_t k = 0; k < p.count[i]; k++)
            p.grad[i][k] = k % (size_t)p.ld[i] < (size_t)(p.ld[i] - PAD) ? (real)NAN : 0;
    rw_linear_attention_backward(&p.chunk, p.in[S_IN], p.g, p.dy, p.width, &grad, dirty(&p));
    for (int i = 0; i < (decay == RW_DECAY_CHANNEL ? S_IN : GATE); i++) check_slope(&p, i);

    /* The state: the adjoint has the part by way of y; the map has the rest. */
    rw_linear_attention_adjoint(&p.chunk, p.dy, p.width, p.grad[S_IN], dirty(&p));
    loss(&p);
    advance(&p, p.g, p.grad[S_IN], p.grad[S_IN]);
    check_slope(&p, S_IN);
    drop(&p);
}

static void test_gradients(void **decay)
{
    for (int i = 0; i < SIZES; i++) check_gradients(all_sizes[i], *(rw_decay *)*decay);
}

/* Adding to gradients is writing them and adding; those not wanted do not matter. */
static void test_gradients_add(void **decay)
{
    problem p;
    make(&p, (sizes){70, 2, 8, 4}, *(rw_decay *)*decay);
    rw_linear_attention_grad grad = gradients_of(&p);
    real *written;
    allocate(&written, p.count[K]);
    rw_linear_attention_backward(&p.chunk, NULL, NULL, p.dy, p.width, &grad, dirty(&p));
    memcpy(written, p.grad[K], sizeof(real) * p.count[K]);
    for (size_t i = 0; i < p.count[K]; i++) p.grad[K][i] = 1;
    grad.k.add = true;
    grad.q.out = grad.v.out = grad.gate.out = NULL;
    rw_linear_attention_backward(&p.chunk, NULL, NULL, p.dy, p.width, &grad, dirty(&p));
    for (size_t i = 0; i < p.count[K]; i++) assert_near(p.grad[K][i], 1 + written[i], 10, EPSILON);
    rw_free(&written);
    drop(&p);
}

static void test_work_is_linear_in_the_chunk(void **decay)
{
    rw_decay kind = *(rw_decay *)*decay;
    double block = rw_linear_attention_flops(RW_LINEAR_ATTENTION_BLOCK, 4, 32, 64, kind);
    assert_true(block > 0);
    assert_true(rw_linear_attention_flops(16 * RW_LINEAR_ATTENTION_BLOCK, 4, 32, 64, kind) ==
                16 * block);
}

int main(void)
{
    static rw_decay decays[] = {RW_DECAY_NONE, RW_DECAY_HEAD, RW_DECAY_CHANNEL};
    int failed = 0;
    for (int i = 0; i < 3; i++) {
        void *decay = &decays[i];
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_prestate(test_forward_is_the_recurrence, decay),
            cmocka_unit_test_prestate(test_extreme_gates, decay),
            cmocka_unit_test_prestate(test_steps_are_the_recurrence, decay),
            cmocka_unit_test_prestate(test_chunks_compose, decay),
            cmocka_unit_test_prestate(test_nothing_comes_from_the_future, decay),
            cmocka_unit_test_prestate(test_gradients, decay),
            cmocka_unit_test_prestate(test_gradients_add, decay),
            cmocka_unit_test_prestate(test_work_is_linear_in_the_chunk, decay),
        };
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
