/* Softmax attention by blocks against its definition over a whole sequence, and its
 * gradients against differences of the loss <dy, y>: with windows, documents, blocks
 * of several sizes and short last ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/attention_block.h"

#define EPSILON (sizeof(real) == 8 ? 1e-12 : 2e-5)

enum { Q, K, V, INPUTS };
enum { PAD = 3 }; /* columns between those of an input and the next row */

/* A sequence, all that goes into it and all that comes out. */
typedef struct {
    int rows, width, block, ld;
    real scale;
    long *first;
    real *in[INPUTS], *grad[INPUTS]; /* (rows, ld) */
    real *y, *dy, *logs, *dots;
    real *gathered, *packed, *scratch, *sum[INPUTS]; /* sums: of dq all blocks, dk, dv */
} problem;

typedef struct {
    int rows, width, block;
    long window;  /* 0: all */
    int document; /* begins here as well as at 0 */
} sizes;

static const sizes all_sizes[] = {
    {1, 1, 1, 0, 0},      {7, 3, 4, 0, 0},     {64, 16, 64, 0, 0},   {70, 8, 32, 0, 0},
    {70, 8, 32, 1, 0},    {70, 5, 32, 20, 0},  {150, 20, 64, 0, 67}, {150, 8, 32, 50, 40},
    {150, 64, 128, 0, 5}, {96, 4, 32, 33, 64},
};
enum { SIZES = sizeof all_sizes / sizeof *all_sizes };

static real *reals(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "test", &out), RW_OK);
    return out;
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

static size_t count_of(const problem *p)
{
    return (size_t)p->rows * (size_t)p->ld;
}

static void make(problem *p, sizes s)
{
    size_t dense = (size_t)s.rows * (size_t)s.width;
    *p = (problem){.rows = s.rows, .width = s.width, .block = s.block, .ld = s.width + PAD};
    p->scale = (real)1.7;
    assert_int_equal(rw_alloc((size_t)s.rows, sizeof(long), "test", &p->first), RW_OK);
    for (long t = 0; t < s.rows; t++) {
        p->first[t] = t >= s.document ? s.document : 0;
        if (s.window && p->first[t] < t - s.window + 1) p->first[t] = t - s.window + 1;
    }
    for (int i = 0; i < INPUTS; i++) {
        p->in[i] = reals(count_of(p));
        p->grad[i] = reals(count_of(p));
        fill(p->in[i], count_of(p), (uint64_t)i + 10);
    }
    p->y = reals(dense), p->dy = reals(dense);
    p->logs = reals((size_t)s.rows), p->dots = reals((size_t)s.rows);
    const size_t each = rw_attention_gradient_reals(s.block, s.width);
    const size_t all = (size_t)((s.rows + s.block - 1) / s.block) * each;
    p->gathered = reals(rw_attention_gathered_reals(s.block, s.width));
    p->packed = reals(rw_attention_packed_reals(s.block, s.width));
    p->sum[Q] = reals(all), p->sum[K] = reals(each), p->sum[V] = reals(each);
    p->scratch = reals(rw_attention_scratch_reals(s.block, s.width));
    fill(p->dy, dense, 30);
}

static void drop(problem *p)
{
    for (int i = 0; i < INPUTS; i++) rw_free(&p->in[i]), rw_free(&p->grad[i]), rw_free(&p->sum[i]);
    rw_free(&p->first), rw_free(&p->y), rw_free(&p->dy), rw_free(&p->logs), rw_free(&p->dots);
    rw_free(&p->gathered), rw_free(&p->packed), rw_free(&p->scratch);
}

static real *dirty(problem *p)
{
    poison(p->scratch, rw_attention_scratch_reals(p->block, p->width));
    return p->scratch;
}

static int blocks(const problem *p)
{
    return (p->rows + p->block - 1) / p->block;
}

static int rows_of(const problem *p, int i)
{
    int left = p->rows - i * p->block;
    return left < p->block ? left : p->block;
}

static rw_attention_pair pair_of(const problem *p, int i, int j)
{
    const int query = i * p->block, key = j * p->block;
    return (rw_attention_pair){
        .queries = rows_of(p, i),
        .keys = rows_of(p, j),
        .width = p->width,
        .query_begin = query,
        .key_begin = key,
        .first = p->first + query,
        .scale = p->scale,
        .q = p->in[Q] + query * p->ld,
        .k = p->in[K] + key * p->ld,
        .v = p->in[V] + key * p->ld,
        .q_ld = p->ld,
        .k_ld = p->ld,
        .v_ld = p->ld,
    };
}

/* All of the sequence by blocks, of which none is left out. */
static void attend(problem *p)
{
    for (int i = 0; i < blocks(p); i++) {
        const int at = i * p->block;
        for (int j = blocks(p) - 1; j >= 0; j--) {
            rw_attention_pair pair = pair_of(p, i, j);
            if (j == blocks(p) - 1) {
                poison(p->gathered, rw_attention_gathered_reals(p->block, p->width));
                rw_attention_start(&pair, p->gathered);
            }
            rw_attention_add(&pair, p->gathered, dirty(p));
        }
        rw_attention_finish(rows_of(p, i), p->width, p->gathered, p->y + at * p->width, p->width,
                            p->logs + at, 1);
    }
}

static double dot_of(const problem *p, int t, int s)
{
    double sum = 0;
    for (int i = 0; i < p->width; i++)
        sum += (double)p->in[Q][t * p->ld + i] * (double)p->in[K][s * p->ld + i];
    return sum * (double)p->scale;
}

static void assert_near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance)) fail_msg("%.12g is not %.12g", value, wanted);
}

static void check_row(const problem *p, int t)
{
    double sum = 0, out[64] = {0};
    for (int s = (int)p->first[t]; s <= t; s++) {
        double weight = exp(dot_of(p, t, s));
        sum += weight;
        for (int i = 0; i < p->width; i++) out[i] += weight * (double)p->in[V][s * p->ld + i];
    }
    for (int i = 0; i < p->width; i++)
        assert_near((double)p->y[t * p->width + i], out[i] / sum, EPSILON);
    assert_near((double)p->logs[t], log2(sum), EPSILON * (1 + fabs(log2(sum))));
}

static void test_forward_is_the_definition(void **unused)
{
    (void)unused;
    for (int i = 0; i < SIZES; i++) {
        problem p;
        make(&p, all_sizes[i]);
        attend(&p);
        for (int t = 0; t < p.rows; t++) check_row(&p, t);
        drop(&p);
    }
}

/* Scores that no exponential can hold. */
static void test_large_scores(void **unused)
{
    problem p;
    (void)unused;
    make(&p, (sizes){70, 8, 32, 0, 0});
    for (size_t i = 0; i < count_of(&p); i++) p.in[Q][i] *= 300;
    attend(&p);
    for (int i = 0; i < p.rows * p.width; i++) assert_true(fabs((double)p.y[i]) <= 1);
    for (int t = 0; t < p.rows; t++) {
        double most = -INFINITY;
        for (int s = 0; s <= t; s++) most = fmax(most, dot_of(&p, t, s) / log(2));
        assert_true((double)p.logs[t] >= most - 1e-3 && (double)p.logs[t] <= most + 7);
    }
    drop(&p);
}

/* A pair without a visible key changes nothing, before and after others. */
static void test_identity(void **unused)
{
    problem p;
    (void)unused;
    make(&p, (sizes){64, 7, 32, 0, 0});
    const size_t count = rw_attention_gathered_reals(32, 7), bytes = count * sizeof(real);
    rw_attention_pair seen = pair_of(&p, 0, 0), future = pair_of(&p, 0, 1);
    real *wanted = reals(count);
    rw_attention_start(&seen, wanted);
    rw_attention_add(&seen, wanted, dirty(&p));
    rw_attention_start(&future, p.gathered);
    rw_attention_add(&future, p.gathered, dirty(&p));
    rw_attention_add(&seen, p.gathered, dirty(&p));
    assert_memory_equal(p.gathered, wanted, bytes);
    rw_attention_add(&future, p.gathered, dirty(&p));
    assert_memory_equal(p.gathered, wanted, bytes);
    rw_free(&wanted);
    drop(&p);
}

static void test_nothing_comes_from_the_future(void **unused)
{
    problem p;
    (void)unused;
    make(&p, (sizes){130, 8, 32, 0, 0});
    size_t row = sizeof(real) * 8;
    for (int t = 0; t < 130; t += 43) {
        attend(&p);
        memcpy(p.dy, p.y, 130 * row);
        for (int i = 0; i < INPUTS; i++)
            for (int c = 0; c < p.ld; c++) p.in[i][t * p.ld + c] += 1;
        attend(&p);
        assert_memory_equal(p.y, p.dy, (size_t)t * row);
        assert_memory_not_equal(p.y + t * 8, p.dy + t * 8, row);
    }
    drop(&p);
}

/* ---- Gradients ------------------------------------------------------------------ */

static double loss(problem *p)
{
    double sum = 0;
    attend(p);
    for (int i = 0; i < p->rows * p->width; i++) sum += (double)p->y[i] * (double)p->dy[i];
    return sum;
}

static rw_attention_rows_grad rows_grad(const problem *p, int i)
{
    const int at = i * p->block;
    return (rw_attention_rows_grad){
        p->dy + at * p->width, p->logs + at, p->dots + at, p->width, 1, 1};
}

enum { TOGETHER, APART };

static real *dq_of(const problem *p, int i)
{
    return p->sum[Q] + (size_t)i * rw_attention_gradient_reals(p->block, p->width);
}

/* Keys from the last block to the first, queries upward: pair by pair, all sums at once or
 * those of queries and keys apart. */
static void add_pairs(problem *p, int how)
{
    for (int j = blocks(p) - 1; j >= 0; j--) {
        const int at = j * p->block;
        const size_t each = rw_attention_gradient_reals(p->block, p->width) * sizeof(real);
        memset(p->sum[K], 0, each), memset(p->sum[V], 0, each);
        for (int i = 0; i < blocks(p); i++) {
            rw_attention_pair pair = pair_of(p, i, j);
            rw_attention_rows_grad grad = rows_grad(p, i);
            real *dq = dq_of(p, i), *dk = p->sum[K], *dv = p->sum[V];
            poison(p->packed, rw_attention_packed_reals(p->block, p->width));
            rw_attention_pack(&pair, p->packed);
            if (how == APART) {
                rw_attention_gradients(&pair, p->packed, &grad, dq, NULL, NULL, dirty(p));
                dq = NULL;
            }
            rw_attention_gradients(&pair, p->packed, &grad, dq, dk, dv, dirty(p));
        }
        rw_attention_put_keys(rows_of(p, j), p->width, p->sum[K], false, p->grad[K] + at * p->ld,
                              p->ld);
        rw_attention_put_keys(rows_of(p, j), p->width, p->sum[V], false, p->grad[V] + at * p->ld,
                              p->ld);
    }
}

static void backward(problem *p, int how)
{
    const size_t each = rw_attention_gradient_reals(p->block, p->width);
    attend(p);
    for (int t = 0; t < p->rows; t++)
        p->dots[t] = rw_attention_dot(p->width, p->y + t * p->width, p->dy + t * p->width);
    memset(p->sum[Q], 0, (size_t)blocks(p) * each * sizeof(real));
    add_pairs(p, how);
    for (int i = 0; i < blocks(p); i++)
        rw_attention_put_queries(rows_of(p, i), p->width, dq_of(p, i), false,
                                 p->grad[Q] + i * p->block * p->ld, p->ld);
}

/* Moves an input along a direction by `step`; the derivative there. */
static double slope(problem *p, int input, const real *direction, double step)
{
    real *at = p->in[input], *keep = reals(count_of(p));
    size_t bytes = count_of(p) * sizeof(real);
    memcpy(keep, at, bytes);
    for (size_t i = 0; i < count_of(p); i++) at[i] = (real)(keep[i] + step * direction[i]);
    double up = loss(p);
    for (size_t i = 0; i < count_of(p); i++) at[i] = (real)(keep[i] - step * direction[i]);
    double down = loss(p);
    memcpy(at, keep, bytes);
    rw_free(&keep);
    return (up - down) / (2 * step);
}

static void check_slope(problem *p, int input)
{
    real *direction = reals(count_of(p));
    double wanted = 0, norm = 0, length = 0;
    fill(direction, count_of(p), 77);
    for (size_t i = 0; i < count_of(p); i++) {
        wanted += (double)p->grad[input][i] * (double)direction[i];
        norm += (double)p->grad[input][i] * (double)p->grad[input][i];
        length += (double)direction[i] * (double)direction[i];
    }
    double tolerance = sizeof(real) == 8 ? 1e-8 : 2e-3, step = sizeof(real) == 8 ? 1e-5 : 1e-2;
    assert_near(slope(p, input, direction, step), wanted, tolerance * fmax(1, sqrt(norm * length)));
    rw_free(&direction);
}

static void test_gradients(void **unused)
{
    (void)unused;
    for (int i = 0; i < SIZES; i++) {
        problem p;
        make(&p, all_sizes[i]);
        backward(&p, TOGETHER);
        for (int input = 0; input < INPUTS; input++) check_slope(&p, input);
        drop(&p);
    }
}

static void test_together_or_apart(void **unused)
{
    (void)unused;
    for (int i = 0; i < SIZES; i++) {
        problem p;
        make(&p, all_sizes[i]);
        const size_t bytes = count_of(&p) * sizeof(real);
        real *kept[INPUTS];
        backward(&p, TOGETHER);
        for (int k = 0; k < INPUTS; k++) {
            kept[k] = reals(count_of(&p));
            memcpy(kept[k], p.grad[k], bytes);
        }
        backward(&p, APART);
        for (int k = 0; k < INPUTS; k++) {
            assert_memory_equal(kept[k], p.grad[k], bytes);
            rw_free(&kept[k]);
        }
        drop(&p);
    }
}

/* Written, and added to what is there. */
static void test_put(void **unused)
{
    problem p;
    (void)unused;
    make(&p, (sizes){32, 5, 32, 0, 0});
    backward(&p, TOGETHER);
    for (int k = K; k <= V; k++) {
        const real before = p.grad[k][p.ld + 2];
        rw_attention_put_keys(32, 5, p.sum[k], true, p.grad[k], p.ld);
        if (k == V) assert_true(p.grad[k][p.ld + 2] == 2 * before);
    }
    const real before = p.grad[Q][p.ld + 2];
    rw_attention_put_queries(32, 5, p.sum[Q], true, p.grad[Q], p.ld);
    assert_true(p.grad[Q][p.ld + 2] == 2 * before);
    drop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_is_the_definition),
        cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_nothing_comes_from_the_future),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_together_or_apart),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests_name("attention by blocks", tests, NULL, NULL);
}
