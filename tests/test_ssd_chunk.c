/* The state-space dual on chunks: against its recurrence, and its gradients
 * against differences of a loss that uses both outputs of a chunk,
 *   loss = <dy, y> + <g, map h_in + state>. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/ssd_chunk.h"

#define EPSILON (sizeof(real) == 8 ? 1e-11 : 1e-5)

enum { X, B, C, RAW, DT_BIAS, A_LOG, SKIP, H_IN, INPUTS };

/* A chunk, all that goes into it and all that comes out. */
typedef struct {
    rw_ssd_chunk chunk;
    int width; /* H P */
    size_t count[INPUTS];
    real *in[INPUTS], *grad[INPUTS];
    real *xbc, *dxbc; /* hold x, b, c side by side */
    real *y, *dy, *map, *state, *g, *scratch;
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

static void make(problem *p, int rows, int heads, int head_width, int state)
{
    int width = heads * head_width, ld = width + 2 * state;
    size_t l = (size_t)rows;
    memset(p, 0, sizeof *p);
    p->width = width;
    p->chunk = (rw_ssd_chunk){.rows = rows,
                              .heads = heads,
                              .head_width = head_width,
                              .state = state,
                              .ld = ld,
                              .raw_ld = heads};
    allocate(&p->xbc, l * (size_t)ld);
    allocate(&p->dxbc, l * (size_t)ld);
    fill(p->xbc, l * (size_t)ld, 1);
    p->in[X] = p->xbc, p->in[B] = p->xbc + width, p->in[C] = p->in[B] + state;
    p->grad[X] = p->dxbc, p->grad[B] = p->dxbc + width, p->grad[C] = p->grad[B] + state;
    const size_t counts[INPUTS] = {0,
                                   0,
                                   0,
                                   l * (size_t)heads,
                                   (size_t)heads,
                                   (size_t)heads,
                                   (size_t)heads,
                                   (size_t)state * (size_t)width};
    for (int i = RAW; i < INPUTS; i++) {
        p->count[i] = counts[i];
        allocate(&p->in[i], counts[i]);
        allocate(&p->grad[i], counts[i]);
        fill(p->in[i], counts[i], (uint64_t)i + 10);
    }
    allocate(&p->y, l * (size_t)width);
    allocate(&p->dy, l * (size_t)width);
    allocate(&p->map, (size_t)heads);
    allocate(&p->state, counts[H_IN]);
    allocate(&p->g, counts[H_IN]);
    allocate(&p->scratch, rw_ssd_scratch_reals(rows, heads, head_width, state));
    fill(p->dy, l * (size_t)width, 30);
    fill(p->g, counts[H_IN], 31);
    p->chunk.x = p->in[X], p->chunk.b = p->in[B], p->chunk.c = p->in[C];
    p->chunk.raw = p->in[RAW], p->chunk.dt_bias = p->in[DT_BIAS];
    p->chunk.a_log = p->in[A_LOG], p->chunk.skip = p->in[SKIP];
}

static void drop(problem *p)
{
    for (int i = RAW; i < INPUTS; i++) rw_free(&p->in[i]), rw_free(&p->grad[i]);
    rw_free(&p->xbc), rw_free(&p->dxbc), rw_free(&p->y), rw_free(&p->dy), rw_free(&p->map);
    rw_free(&p->state), rw_free(&p->g), rw_free(&p->scratch);
}

static real *dirty(problem *p)
{
    const rw_ssd_chunk *c = &p->chunk;
    poison(p->scratch, rw_ssd_scratch_reals(c->rows, c->heads, c->head_width, c->state));
    return p->scratch;
}

static double inner(const real *a, const real *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

static double loss(problem *p)
{
    size_t states = p->count[H_IN];
    double sum = 0;
    rw_ssd_forward(&p->chunk, p->in[H_IN], p->y, p->width, dirty(p));
    rw_ssd_summary(&p->chunk, p->map, p->state, dirty(p));
    for (size_t i = 0; i < states; i++) {
        size_t head = i % (size_t)p->width / (size_t)p->chunk.head_width;
        sum += p->g[i] * ((double)p->map[head] * p->in[H_IN][i] + p->state[i]);
    }
    return sum + inner(p->dy, p->y, (size_t)p->chunk.rows * (size_t)p->width);
}

static rw_ssd_grad gradients_of(problem *p)
{
    return (rw_ssd_grad){.x = p->grad[X],
                         .b = p->grad[B],
                         .c = p->grad[C],
                         .ld = p->chunk.ld,
                         .raw = p->grad[RAW],
                         .raw_ld = p->chunk.heads,
                         .dt_bias = p->grad[DT_BIAS],
                         .a_log = p->grad[A_LOG],
                         .skip = p->grad[SKIP]};
}

static void assert_near(double value, double expected, double scale, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance * (scale > 1 ? scale : 1)))
        fail_msg("%.10g is not %.10g (scale %g)", value, expected, scale);
}

/* Moves `count` reals along a direction by `step`; the derivative there. */
static double slope(problem *p, real *at, const real *direction, size_t count, double step,
                    real *keep)
{
    memcpy(keep, at, sizeof(real) * count);
    for (size_t i = 0; i < count; i++) at[i] = (real)(keep[i] + step * direction[i]);
    double up = loss(p);
    for (size_t i = 0; i < count; i++) at[i] = (real)(keep[i] - step * direction[i]);
    double down = loss(p);
    memcpy(at, keep, sizeof(real) * count);
    return (up - down) / (2 * step);
}

static void check_slope(problem *p, real *at, const real *gradient, size_t count, double step)
{
    real *direction, *keep;
    allocate(&direction, count);
    allocate(&keep, count);
    fill(direction, count, 77);
    double scale = sqrt(inner(gradient, gradient, count) * inner(direction, direction, count));
    double tolerance = sizeof(real) == 8 ? 1e-7 : 2e-3;
    assert_near(slope(p, at, direction, count, step, keep), inner(gradient, direction, count),
                scale, tolerance);
    rw_free(&direction), rw_free(&keep);
}

static void check_gradients(int rows, int heads, int head_width, int state)
{
    problem p;
    make(&p, rows, heads, head_width, state);
    size_t columns = (size_t)rows * (size_t)p.chunk.ld;
    double step = sizeof(real) == 8 ? 1e-5 : 1e-2;
    rw_ssd_grad grad = gradients_of(&p);
    poison(p.dxbc, columns);
    poison(p.grad[RAW], p.count[RAW]);
    rw_ssd_backward(&p.chunk, p.in[H_IN], p.g, p.dy, p.width, &grad, dirty(&p));
    check_slope(&p, p.xbc, p.dxbc, columns, step);
    for (int i = RAW; i < H_IN; i++) check_slope(&p, p.in[i], p.grad[i], p.count[i], step);

    /* The state: the adjoint has the part by way of y; the map has the rest. */
    rw_ssd_adjoint(&p.chunk, p.dy, p.width, p.grad[H_IN], dirty(&p));
    loss(&p);
    for (size_t i = 0; i < p.count[H_IN]; i++)
        p.grad[H_IN][i] += p.map[i % (size_t)p.width / (size_t)head_width] * p.g[i];
    check_slope(&p, p.in[H_IN], p.grad[H_IN], p.count[H_IN], step);
    drop(&p);
}

static const int sizes[][4] = {/* rows, heads, head width, state */
                               {1, 1, 1, 1},   {7, 2, 4, 3},   {16, 1, 16, 16}, {63, 2, 5, 8},
                               {64, 4, 8, 16}, {65, 3, 7, 17}, {200, 2, 8, 4},  {128, 1, 9, 64}};
#define SIZES (sizeof sizes / sizeof *sizes)

static void test_gradients(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < SIZES; i++)
        check_gradients(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
}

static void test_forward_is_the_recurrence(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < SIZES; i++) {
        problem p;
        make(&p, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
        size_t count = (size_t)p.chunk.rows * (size_t)p.width;
        rw_ssd_forward(&p.chunk, NULL, p.y, p.width, dirty(&p));
        rw_ssd_reference(&p.chunk, p.dy, p.width);
        double scale = sqrt(inner(p.dy, p.dy, count));
        for (size_t k = 0; k < count; k++) assert_near(p.y[k], p.dy[k], scale, EPSILON);
        drop(&p);
    }
}

static void test_steps_are_the_recurrence(void **unused)
{
    (void)unused;
    problem p;
    make(&p, 100, 2, 8, 16);
    rw_ssd_reference(&p.chunk, p.y, p.width);
    memset(p.state, 0, sizeof(real) * p.count[H_IN]);
    for (int t = 0; t < 100; t++) {
        rw_ssd_chunk token = p.chunk;
        token.rows = 1;
        token.x += t * token.ld, token.b += t * token.ld, token.c += t * token.ld;
        token.raw += t * token.raw_ld;
        rw_ssd_step(&token, p.state, p.dy);
        for (int i = 0; i < p.width; i++) assert_near(p.dy[i], p.y[t * p.width + i], 10, EPSILON);
    }
    drop(&p);
}

/* Any cut into chunks gives the same sequence. */
static void test_chunks_compose(void **unused)
{
    (void)unused;
    const int cuts[] = {0, 1, 17, 81, 82, 150};
    problem p;
    make(&p, 150, 3, 4, 8);
    rw_ssd_reference(&p.chunk, p.dy, p.width);
    memset(p.in[H_IN], 0, sizeof(real) * p.count[H_IN]);
    for (int i = 0; i < 5; i++) {
        rw_ssd_chunk part = p.chunk;
        int first = cuts[i];
        part.rows = cuts[i + 1] - first;
        part.x += first * part.ld, part.b += first * part.ld, part.c += first * part.ld;
        part.raw += first * part.raw_ld;
        rw_ssd_forward(&part, p.in[H_IN], p.y + first * p.width, p.width, dirty(&p));
        rw_ssd_summary(&part, p.map, p.state, dirty(&p));
        for (size_t k = 0; k < p.count[H_IN]; k++)
            p.in[H_IN][k] = p.map[k % (size_t)p.width / 4] * p.in[H_IN][k] + p.state[k];
    }
    for (int k = 0; k < 150 * p.width; k++) assert_near(p.y[k], p.dy[k], 10, EPSILON);
    drop(&p);
}

static void test_nothing_comes_from_the_future(void **unused)
{
    (void)unused;
    problem p;
    make(&p, 130, 2, 8, 8);
    for (int t = 0; t < 130; t += 43) {
        rw_ssd_forward(&p.chunk, p.in[H_IN], p.y, p.width, dirty(&p));
        memcpy(p.dy, p.y, sizeof(real) * (size_t)(130 * p.width));
        for (int i = 0; i < p.chunk.ld; i++) p.xbc[t * p.chunk.ld + i] += 1;
        p.in[RAW][t * 2] += 1;
        rw_ssd_forward(&p.chunk, p.in[H_IN], p.y, p.width, dirty(&p));
        assert_memory_equal(p.y, p.dy, sizeof(real) * (size_t)(t * p.width));
        assert_memory_not_equal(p.y + t * p.width, p.dy + t * p.width,
                                sizeof(real) * (size_t)p.width);
    }
    drop(&p);
}

/* Adding to gradients is writing them and adding; those not wanted do not matter. */
static void test_gradients_add(void **unused)
{
    (void)unused;
    problem p;
    make(&p, 70, 2, 4, 8);
    size_t columns = 70 * (size_t)p.chunk.ld;
    real *written, bias = 0;
    allocate(&written, columns);
    rw_ssd_grad grad = gradients_of(&p);
    rw_ssd_backward(&p.chunk, NULL, NULL, p.dy, p.width, &grad, dirty(&p));
    memcpy(written, p.dxbc, sizeof(real) * columns);
    bias = p.grad[DT_BIAS][0];
    for (size_t i = 0; i < columns; i++) p.dxbc[i] = 1;
    grad.add = true;
    grad.raw = NULL;
    rw_ssd_backward(&p.chunk, NULL, NULL, p.dy, p.width, &grad, dirty(&p));
    for (size_t i = 0; i < columns; i++) assert_near(p.dxbc[i], 1 + written[i], 10, EPSILON);
    assert_near(p.grad[DT_BIAS][0], 2 * bias, 2 * fabs(bias), EPSILON);
    grad.x = grad.b = grad.c = NULL;
    rw_ssd_backward(&p.chunk, NULL, NULL, p.dy, p.width, &grad, dirty(&p));
    assert_near(p.grad[DT_BIAS][0], 3 * bias, 3 * fabs(bias), EPSILON);
    rw_free(&written);
    drop(&p);
}

/* Step sizes and decays at the ends of their range stay finite. */
static void test_extremes_are_finite(void **unused)
{
    (void)unused;
    const real raws[] = {-200, -50, 30, 200}, a_logs[] = {-20, 0, 6};
    for (int i = 0; i < 12; i++) {
        problem p;
        make(&p, 100, 1, 4, 4);
        rw_ssd_grad grad = gradients_of(&p);
        for (size_t k = 0; k < p.count[RAW]; k += 1 + (size_t)(i % 2)) p.in[RAW][k] = raws[i % 4];
        p.in[A_LOG][0] = a_logs[i / 4];
        assert_true(isfinite(loss(&p)));
        rw_ssd_backward(&p.chunk, p.in[H_IN], p.g, p.dy, p.width, &grad, dirty(&p));
        for (int k = 0; k < 100 * p.chunk.ld; k++) assert_true(isfinite(p.dxbc[k]));
        for (size_t k = 0; k < p.count[RAW]; k++) assert_true(isfinite(p.grad[RAW][k]));
        assert_true(isfinite(p.grad[A_LOG][0]));
        drop(&p);
    }
}

static void test_work_is_linear_in_the_chunk(void **unused)
{
    (void)unused;
    double block = rw_ssd_flops(RW_SSD_BLOCK, 8, 64, 64);
    assert_true(block > 0);
    assert_true(rw_ssd_flops(16 * RW_SSD_BLOCK, 8, 64, 64) == 16 * block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_is_the_recurrence),
        cmocka_unit_test(test_steps_are_the_recurrence),
        cmocka_unit_test(test_chunks_compose),
        cmocka_unit_test(test_nothing_comes_from_the_future),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_gradients_add),
        cmocka_unit_test(test_extremes_are_finite),
        cmocka_unit_test(test_work_is_linear_in_the_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
