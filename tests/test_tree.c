/* The chunk tree and what is summed along it: against plain loops, and with the
 * same bits on every layout of the ranks that this program is started with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "mpi/shift.h"
#include "mpi/tree_reduce.h"
#include "mpi/tree_scan.h"
#include "mpi_testing.h"

#define EPSILON (sizeof(real) == 8 ? 1e-12 : 2e-5)

enum { MOST_CHUNKS = 33, SEQUENCES = 5, LONGEST = 100 };

/* A value that nobody computes: what must not be written keeps it. */
static const real untouched = (real)-12345.5;

static real *new_reals(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "a test", &out), RW_OK);
    return out;
}

/* Uniform in [-1, 1), by global index, so that every rank draws the same. */
static void fill(real *out, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(11, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
}

static void fill_with(real *out, size_t count, real value)
{
    for (size_t i = 0; i < count; i++) out[i] = value;
}

/* Calls `check` on every layout of all ranks on which each has a sequence, with
 * one and two threads. */
static void on_every_layout(void (*check)(const rw_layout *layout))
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int dp = 1; dp <= size && dp <= SEQUENCES; dp++)
        for (int threads = 1; threads <= 2 && size % dp == 0; threads++) {
            rw_layout layout;
            assert_int_equal(rw_layout_new(dp, size / dp, threads, &layout), RW_OK);
            check(&layout);
            rw_layout_free(&layout);
        }
}

/* This rank's part of values (SEQUENCES, chunks, n) of all, and back again. */
static void take_part(const rw_layout *layout, long chunks, size_t n, const real *all, real *part)
{
    rw_range b = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
    size_t row = (size_t)(c.end - c.begin) * n;
    for (long i = b.begin; i < b.end; i++, part += row)
        memcpy(part, all + (size_t)(i * chunks + c.begin) * n, row * sizeof(real));
}

static bool is_part(const rw_layout *layout, long chunks, size_t n, const real *all,
                    const real *part)
{
    rw_range b = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
    size_t row = (size_t)(c.end - c.begin) * n;
    for (long i = b.begin; i < b.end; i++, part += row)
        if (memcmp(part, all + (size_t)(i * chunks + c.begin) * n, row * sizeof(real)))
            return false;
    return true;
}

/* ---- The tree itself --------------------------------------------------------- */

/* 2x2 matrices do not commute: their product shows the order. */
typedef struct {
    double m[4];
} matrix;

static matrix times(matrix a, matrix b)
{
    return (matrix){{a.m[0] * b.m[0] + a.m[1] * b.m[2], a.m[0] * b.m[1] + a.m[1] * b.m[3],
                     a.m[2] * b.m[0] + a.m[3] * b.m[2], a.m[2] * b.m[1] + a.m[3] * b.m[3]}};
}

static matrix matrix_at(uint64_t leaf)
{
    rw_random random = rw_random_stream(11, RW_RANDOM_TEST, 99);
    matrix a = {{1, 0, 0, 1}};
    for (uint64_t k = 0; k < 4; k++) a.m[k] += rw_random_uniform(random, 4 * leaf + k) - 0.5;
    return a;
}

static void multiply(void *context, int left, int right)
{
    matrix *value = context;
    value[left] = times(value[left], value[right]);
}

static void test_sum_of_all_leaves_is_the_root(void **unused)
{
    (void)unused;
    for (long sequences = 1; sequences <= SEQUENCES; sequences++)
        for (long chunks = 1; chunks <= MOST_CHUNKS; chunks++) {
            rw_tree tree = rw_tree_of(sequences, chunks);
            matrix value[64], wanted = {{1, 0, 0, 1}};
            rw_tree_node nodes[64];
            rw_tree_stack stack = {nodes, 0, 64};
            for (long b = 0; b < sequences; b++)
                for (long c = 0; c < chunks; c++) {
                    long leaf = rw_tree_leaf(&tree, b, c);
                    value[stack.depth] = matrix_at((uint64_t)leaf);
                    wanted = times(wanted, value[stack.depth]);
                    rw_tree_push(&tree, &stack, (rw_tree_node){0, leaf, stack.depth}, multiply,
                                 value);
                }
            assert_int_equal(stack.depth, 1);
            assert_int_equal(nodes[0].level, tree.levels);
            assert_int_equal(nodes[0].index, 0);
            for (int k = 0; k < 4; k++)
                assert_true(fabs(value[0].m[k] - wanted.m[k]) <= 1e-12 * (1 + fabs(wanted.m[k])));
        }
}

static void test_empty_nodes(void **unused)
{
    (void)unused;
    for (long chunks = 1; chunks <= MOST_CHUNKS; chunks++) {
        rw_tree tree = rw_tree_of(3, chunks);
        for (int level = 0; level <= tree.levels; level++)
            for (long i = 0; i < 1L << (tree.levels - level); i++) {
                bool empty = true;
                for (long leaf = i << level; leaf < (i + 1) << level; leaf++)
                    if (leaf >> tree.inner < 3 && (leaf & ((1L << tree.inner) - 1)) < chunks)
                        empty = false;
                assert_int_equal(rw_tree_empty(&tree, level, i), empty);
            }
    }
}

/* The depth that is planned for is the depth that is met. */
static void test_stack_depth(void **unused)
{
    (void)unused;
    for (long chunks = 1; chunks <= MOST_CHUNKS; chunks++)
        for (int parts = 1; parts <= 4 && parts <= chunks; parts++) {
            rw_tree tree = rw_tree_of(SEQUENCES, chunks);
            rw_range c = rw_split(chunks, parts, parts / 2);
            rw_tree_depth depth = rw_tree_stack_depth(&tree, 1, 4, c.begin, c.end);
            rw_tree_node nodes[128];
            rw_tree_stack stack = {nodes, 0, 128};
            for (long b = 1; b < 4; b++)
                for (long i = c.begin; i < c.end; i++) {
                    assert_true(stack.depth < depth.peak);
                    rw_tree_push(&tree, &stack, (rw_tree_node){0, rw_tree_leaf(&tree, b, i), 0},
                                 NULL, NULL);
                }
            assert_int_equal(stack.depth, depth.final);
        }
}

/* ---- Scans ------------------------------------------------------------------- */

/* A kind of affine map, a lane of it. */
typedef struct {
    const char *name;
    size_t map, state; /* reals of all lanes */
    int lanes;
    void (*advance)(const void *context, const real *map, int level, bool transpose, int begin,
                    int end, const real *x, const real *b, real *y);
    void (*compose)(const void *context, const real *left, const real *right, real *out);
} map_kind;

enum { LANES = 7 };

static void advance_scalar(const void *context, const real *map, int level, bool transpose,
                           int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) y[i] = x ? map[i] * x[i] + b[i] : b[i];
}

static void compose_scalar(const void *context, const real *left, const real *right, real *out)
{
    (void)context;
    for (int i = 0; i < LANES; i++) out[i] = right[i] * left[i];
}

/* The same transition in every chunk: nothing to hand around (map 0). */
static real shared_transition(int lane)
{
    return (real)(1 - 0.05 * (lane + 1));
}

static void advance_shared(const void *context, const real *map, int level, bool transpose,
                           int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)map, (void)transpose;
    for (int i = begin; i < end; i++) {
        real power = shared_transition(i);
        for (int k = 0; k < level; k++) power *= power;
        y[i] = x ? power * x[i] + b[i] : b[i];
    }
}

/* 2x2 matrices, one a lane: the order shows, and transposes are others. */
static void advance_matrix(const void *context, const real *map, int level, bool transpose,
                           int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)level;
    for (int i = begin; i < end; i++) {
        const real *m = map + 4 * i;
        real y0 = b[2 * i], y1 = b[2 * i + 1];
        if (x) {
            y0 += m[0] * x[2 * i] + m[transpose ? 2 : 1] * x[2 * i + 1];
            y1 += m[transpose ? 1 : 2] * x[2 * i] + m[3] * x[2 * i + 1];
        }
        y[2 * i] = y0;
        y[2 * i + 1] = y1;
    }
}

static void compose_matrix(const void *context, const real *left, const real *right, real *out)
{
    (void)context;
    for (int i = 0; i < LANES; i++) {
        const real *a = right + 4 * i, *b = left + 4 * i;
        real product[4] = {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3],
                           a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]};
        memcpy(out + 4 * i, product, sizeof product);
    }
}

/* Monoids that are no affine maps: advance combines what came before with b. */
static void advance_sum(const void *context, const real *map, int level, bool transpose, int begin,
                        int end, const real *x, const real *b, real *y)
{
    (void)context, (void)map, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) y[i] = x ? x[i] + b[i] : b[i];
}

/* Online softmax: (maximum, sum of weights, weighted sum) of a lane. */
static void advance_softmax(const void *context, const real *map, int level, bool transpose,
                            int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)map, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) {
        const real *left = x ? x + 3 * i : b + 3 * i, *right = b + 3 * i;
        real top = left[0] > right[0] ? left[0] : right[0];
        real l = x ? (real)exp((double)(left[0] - top)) : 0;
        real r = (real)exp((double)(right[0] - top));
        real sum = l * left[1] + r * right[1], value = l * left[2] + r * right[2];
        y[3 * i] = top;
        y[3 * i + 1] = sum;
        y[3 * i + 2] = value;
    }
}

static const map_kind kinds[] = {
    {"scalars", LANES, LANES, LANES, advance_scalar, compose_scalar},
    {"shared", 0, LANES, LANES, advance_shared, NULL},
    {"sums", 0, LANES, LANES, advance_sum, NULL},
    {"softmax", 0, 3 * LANES, LANES, advance_softmax, NULL},
    {"matrices", 4 * LANES, 2 * LANES, LANES, advance_matrix, compose_matrix},
};

/* Does a document begin in chunk c of sequence b? */
static bool cut_at(long b, long c)
{
    return (3 * b + c) % 5 == 2;
}

static uint8_t *new_cuts(const rw_layout *layout, long chunks)
{
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range local = rw_split(chunks, layout->sp, layout->sp_rank);
    uint8_t *cut, *next;
    assert_int_equal(rw_alloc((size_t)(SEQUENCES * chunks), 1, "cuts", &cut), RW_OK);
    next = cut;
    for (long b = own.begin; b < own.end; b++)
        for (long c = local.begin; c < local.end; c++) *next++ = cut_at(b, c);
    return cut;
}

/* How a scan is run. */
typedef struct {
    bool mirrored, cuts;
    bool ends; /* from a given state, to the state behind the last chunk */
} manner;

/* What a scan must not read is not a number: the part of the chunk behind which
 * there is none, and the map of the last chunk, which no other state enters. */
static void spoil_unread(const map_kind *kind, long chunks, bool mirrored, real *map, real *part)
{
    for (size_t b = 0; b < SEQUENCES; b++) {
        size_t first = b * (size_t)chunks, last = first + (size_t)chunks - 1;
        fill_with(part + (mirrored ? first : last) * kind->state, kind->state, (real)NAN);
        fill_with(map + last * kind->map, kind->map, (real)NAN);
    }
}

/* Runs a scan on the layout's part of the data. What it must not write stays
 * untouched. ends: the states at the start of the sequences, replaced by those
 * behind their last chunks. */
static void run_scan(const rw_layout *layout, const map_kind *kind, long chunks, manner how,
                     real *out, real *ends)
{
    uint8_t *cut = how.cuts ? new_cuts(layout, chunks) : NULL;
    size_t all = (size_t)(SEQUENCES * chunks);
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    real *map = new_reals(all * kind->map), *part = new_reals(all * kind->state);
    real *own_map = new_reals(all * kind->map), *own_part = new_reals(all * kind->state);
    rw_scan *scan;
    fill(map, all * kind->map, 21);
    fill(part, all * kind->state, 22);
    if (!how.ends) spoil_unread(kind, chunks, how.mirrored, map, part);
    take_part(layout, chunks, kind->map, map, own_map);
    take_part(layout, chunks, kind->state, part, own_part);
    fill_with(out, all * kind->state, untouched);
    assert_int_equal(
        rw_scan_new(layout, 0, own.end - own.begin, chunks, 4 * LANES, 2 * LANES, how.ends, &scan),
        RW_OK);
    rw_affine affine = {.map = kind->map,
                        .state = kind->state,
                        .lanes = kind->lanes,
                        .advance = kind->advance,
                        .compose = kind->compose};
    size_t first = (size_t)own.begin * kind->state, mine = (size_t)own.end * kind->state - first;
    real *final = new_reals(mine);
    rw_scan_ends both = {ends + first, final};
    rw_scan_run(scan, &affine, own.end - own.begin, how.mirrored, cut, how.ends ? &both : NULL,
                own_map, own_part, out);
    MPI_Bcast(final, (int)mine, RW_MPI_REAL, layout->sp - 1, layout->sp_comm);
    if (how.ends) memcpy(ends + first, final, mine * sizeof(real));
    rw_free(&cut), rw_free(&final);
    rw_scan_destroy(&scan);
    rw_free(&map), rw_free(&part), rw_free(&own_map), rw_free(&own_part);
}

/* The definition, chunk after chunk:  out[c] = A out[before] + part[before];
 * mirrored from the right, with the transpose of the chunk in between. A cut
 * chunk lets nothing through. */
static void plain_scan(const map_kind *kind, long chunks, manner how, real *out, real *ends)
{
    size_t all = (size_t)(SEQUENCES * chunks), n = kind->state;
    real *map = new_reals(all * kind->map), *part = new_reals(all * n);
    fill(map, all * kind->map, 21);
    fill(part, all * n, 22);
    fill_with(out, all * n, untouched);
    for (long b = 0; b < SEQUENCES; b++)
        for (long i = 1; i < chunks + how.ends; i++) {
            long c = b * chunks + (how.mirrored ? chunks - 1 - i : i);
            long from = how.mirrored ? c + 1 : c - 1;
            real *end = how.ends ? ends + (size_t)b * n : NULL;
            const real *before = i > 1 ? out + (size_t)from * n : end;
            kind->advance(NULL, map + (size_t)from * kind->map, 0, how.mirrored, 0, kind->lanes,
                          how.cuts && cut_at(b, from - b * chunks) ? NULL : before,
                          part + (size_t)from * n, i < chunks ? out + (size_t)c * n : end);
        }
    rw_free(&map), rw_free(&part);
}

static bool near(const real *a, const real *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= EPSILON * (1 + fabs((double)b[i]))))
            return false;
    return true;
}

/* Room for the states of all chunks and, behind them, those at the ends. */
static real *new_states(const map_kind *kind, long chunks)
{
    size_t inner = (size_t)(SEQUENCES * chunks) * kind->state, ends = SEQUENCES * kind->state;
    real *out = new_reals(inner + ends);
    fill(out + inner, ends, 23);
    return out;
}

static void check_scan(const rw_layout *layout, const map_kind *kind, long chunks, manner how)
{
    size_t inner = (size_t)(SEQUENCES * chunks) * kind->state,
           all = inner + SEQUENCES * kind->state;
    real *wanted = new_states(kind, chunks), *got = new_states(kind, chunks);
    real *plain = new_states(kind, chunks);
    const char *way = how.ends ? "scan between ends" : how.mirrored ? "suffix" : "prefix";
    rw_layout alone;
    assert_int_equal(rw_layout_alone(layout->threads, &alone), RW_OK);
    run_scan(&alone, kind, chunks, how, wanted, wanted + inner);
    rw_layout_free(&alone);
    plain_scan(kind, chunks, how, plain, plain + inner);
    mpi_test_all(near(wanted, plain, all), "%s of %s over %ld chunks", way, kind->name, chunks);
    run_scan(layout, kind, chunks, how, got, got + inner);
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    size_t end = inner + (size_t)own.begin * kind->state;
    size_t mine = (size_t)(own.end - own.begin) * kind->state;
    mpi_test_all(is_part(layout, chunks, kind->state, wanted, got) &&
                     memcmp(got + end, wanted + end, mine * sizeof(real)) == 0,
                 "%s of %s over %ld chunks on %d x %d ranks", way, kind->name, chunks, layout->dp,
                 layout->sp);
    rw_free(&wanted), rw_free(&got), rw_free(&plain);
}

static void check_scans(const rw_layout *layout)
{
    const manner manners[] = {{0},
                              {.mirrored = true},
                              {.cuts = true},
                              {.mirrored = true, .cuts = true},
                              {.ends = true},
                              {.cuts = true, .ends = true}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (long chunks = layout->sp; chunks <= MOST_CHUNKS; chunks++)
            for (size_t i = 0; i < sizeof manners / sizeof *manners; i++)
                check_scan(layout, &kinds[k], chunks, manners[i]);
}

static void test_scans(void **unused)
{
    (void)unused;
    on_every_layout(check_scans);
}

/* ---- Shift ------------------------------------------------------------------- */

static void check_shift(const rw_layout *layout)
{
    enum { STATE = 3 };
    for (long chunks = layout->sp; chunks <= MOST_CHUNKS; chunks++)
        for (int mirrored = 0; mirrored < 2; mirrored++) {
            size_t all = (size_t)(SEQUENCES * chunks) * STATE;
            rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
            rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
            real *value = new_reals(all), *wanted = new_reals(all), *part = new_reals(all);
            real *got = new_reals(all), *buffer = new_reals(2 * SEQUENCES * STATE);
            fill(value, all, 31);
            fill_with(wanted, all, untouched);
            fill_with(got, all, untouched);
            for (long i = 0; i < SEQUENCES * chunks; i++) {
                long from = mirrored ? i + 1 : i - 1;
                if (i % chunks == (mirrored ? chunks - 1 : 0)) continue;
                memcpy(wanted + i * STATE, value + from * STATE, STATE * sizeof(real));
            }
            take_part(layout, chunks, STATE, value, part);
            rw_shift_run(layout, own.end - own.begin, c.end - c.begin, STATE, mirrored, part, got,
                         buffer);
            mpi_test_all(is_part(layout, chunks, STATE, wanted, got), "shift over %ld chunks%s",
                         chunks, mirrored ? ", mirrored" : "");
            rw_free(&value), rw_free(&wanted), rw_free(&part), rw_free(&got), rw_free(&buffer);
        }
}

static void test_shift(void **unused)
{
    (void)unused;
    on_every_layout(check_shift);
}

/* ---- Sums -------------------------------------------------------------------- */

typedef struct {
    real *values; /* (slots, n) */
    size_t n;
} vectors;

static void add_vectors(void *context, int left, int right)
{
    const vectors *v = context;
    for (size_t i = 0; i < v->n; i++)
        v->values[(size_t)left * v->n + i] += v->values[(size_t)right * v->n + i];
}

/* This rank's part of a sum over all chunks' vectors of n reals: the maximal
 * nodes of its chunks. */
typedef struct {
    vectors sums;
    real *node[128];
} part_sums;

static void add_own(const rw_layout *layout, long chunks, size_t n, const real *all, part_sums *out)
{
    rw_range b = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
    rw_tree tree = rw_tree_of(SEQUENCES, chunks);
    rw_tree_node nodes[128];
    rw_tree_stack stack = {nodes, 0, 128};
    out->sums = (vectors){new_reals(128 * n), n};
    for (long i = b.begin; i < b.end; i++)
        for (long j = c.begin; j < c.end; j++) {
            memcpy(out->sums.values + (size_t)stack.depth * n, all + (size_t)(i * chunks + j) * n,
                   n * sizeof(real));
            rw_tree_push(&tree, &stack, (rw_tree_node){0, rw_tree_leaf(&tree, i, j), stack.depth},
                         add_vectors, &out->sums);
        }
    for (int i = 0; i < stack.depth; i++)
        out->node[i] = out->sums.values + (size_t)nodes[i].slot * n;
}

/* The sum of all chunks' vectors of n reals: those of this rank into its
 * maximal nodes, then over all ranks. */
static void sum_all(const rw_layout *layout, long chunks, size_t n, const real *all, real *out)
{
    rw_tree tree = rw_tree_of(SEQUENCES, chunks);
    part_sums own;
    rw_reduction *reduction;
    assert_int_equal(rw_reduction_new(layout, &tree, LONGEST, &reduction), RW_OK);
    add_own(layout, chunks, n, all, &own);
    rw_reduction_start(reduction, n, own.node);
    rw_reduction_finish(reduction);
    memcpy(out, own.node[0], n * sizeof(real));
    rw_reduction_destroy(&reduction);
    rw_free(&own.sums.values);
}

static bool is_plain_sum(const real *all, long leaves, size_t n, const real *sum)
{
    for (size_t i = 0; i < n; i++) {
        double wanted = 0;
        for (long k = 0; k < leaves; k++) wanted += (double)all[(size_t)k * n + i];
        if (!(fabs((double)sum[i] - wanted) <= EPSILON * sqrt((double)leaves))) return false;
    }
    return true;
}

static void check_sums(const rw_layout *layout)
{
    const size_t lengths[] = {1, 3, 17, LONGEST};
    for (long chunks = layout->sp; chunks <= MOST_CHUNKS; chunks++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            size_t n = lengths[k];
            real *all = new_reals((size_t)(SEQUENCES * chunks) * n);
            real wanted[LONGEST], got[LONGEST];
            rw_layout alone;
            fill(all, (size_t)(SEQUENCES * chunks) * n, 41);
            assert_int_equal(rw_layout_alone(layout->threads, &alone), RW_OK);
            sum_all(&alone, chunks, n, all, wanted);
            rw_layout_free(&alone);
            mpi_test_all(is_plain_sum(all, SEQUENCES * chunks, n, wanted), "sum of %ld chunks",
                         chunks);
            sum_all(layout, chunks, n, all, got);
            mpi_test_all(memcmp(got, wanted, n * sizeof(real)) == 0,
                         "sum of %ld chunks, %zu reals, on %d x %d ranks", chunks, n, layout->dp,
                         layout->sp);
            rw_free(&all);
        }
}

static void test_sums(void **unused)
{
    (void)unused;
    on_every_layout(check_sums);
}

/* As many sums as may be under way, one after the other, of different lengths.
 * Every rank moves them on at other moments, some never. */
static void check_overlapping_sums(const rw_layout *layout)
{
    enum { SUMS = 3 * RW_REDUCTIONS + 1, CHUNKS = 9 };
    const size_t lengths[] = {LONGEST, 3, 1, 64, 17};
    real *all = new_reals(SEQUENCES * CHUNKS * LONGEST), wanted[LONGEST];
    rw_tree tree = rw_tree_of(SEQUENCES, CHUNKS);
    rw_layout alone;
    rw_reduction *reduction;
    part_sums own[SUMS];
    assert_int_equal(rw_layout_alone(layout->threads, &alone), RW_OK);
    fill(all, SEQUENCES * CHUNKS * LONGEST, 42);
    assert_int_equal(rw_reduction_new(layout, &tree, LONGEST, &reduction), RW_OK);
    for (int i = 0, done = 0; done < SUMS;) {
        if (i < SUMS && rw_reduction_under_way(reduction) < RW_REDUCTIONS) {
            add_own(layout, CHUNKS, lengths[i % 5], all, &own[i]);
            rw_reduction_start(reduction, lengths[i % 5], own[i].node);
            i++;
        } else {
            rw_reduction_finish(reduction);
            size_t n = lengths[done % 5];
            sum_all(&alone, CHUNKS, n, all, wanted);
            mpi_test_all(memcmp(own[done].node[0], wanted, n * sizeof(real)) == 0,
                         "sum %d beside others on %d x %d ranks", done, layout->dp, layout->sp);
            rw_free(&own[done++].sums.values);
        }
        for (int k = 0; k < (5 * i + 3 * layout->rank) % 4; k++) rw_reduction_progress(reduction);
    }
    rw_reduction_destroy(&reduction);
    rw_layout_free(&alone);
    rw_free(&all);
}

static void test_overlapping_sums(void **unused)
{
    (void)unused;
    on_every_layout(check_overlapping_sums);
}

/* A sum beside which the rank computes counts as communication, not as waiting;
 * bytes are as predicted. */
static void check_counters(const rw_layout *layout)
{
    enum { CHUNKS = 8 };
    const size_t n = LONGEST;
    real *all = new_reals(SEQUENCES * CHUNKS * n), out[LONGEST];
    rw_tree tree = rw_tree_of(SEQUENCES, CHUNKS);
    rw_range mine = rw_split((long)n, layout->size, layout->rank);
    double own = (double)(mine.end - mine.begin), others = (double)n - own;
    rw_comm_counters before = rw_comm_count;
    rw_reduction *reduction;
    assert_int_equal(rw_reduction_new(layout, &tree, LONGEST, &reduction), RW_OK);
    double nodes = rw_reduction_nodes(reduction);
    rw_reduction_destroy(&reduction);
    sum_all(layout, CHUNKS, n, all, out);
    double bytes = rw_comm_count.bytes - before.bytes;
    mpi_test_all(bytes == sizeof(real) * (others * nodes + own * (layout->size - 1)),
                 "%.0f bytes sent on %d x %d ranks", bytes, layout->dp, layout->sp);
    mpi_test_all(rw_comm_count.exposed <= rw_comm_count.seconds, "waited longer than it took");
    rw_free(&all);
}

static void test_counters(void **unused)
{
    (void)unused;
    on_every_layout(check_counters);
}

/* More than an int counts is refused when it is planned. */
static void test_messages_too_long(void **unused)
{
    int size;
    rw_layout layout;
    rw_reduction *reduction;
    (void)unused;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) skip();
    assert_int_equal(rw_layout_new(1, size, 1, &layout), RW_OK);
    rw_tree tree = rw_tree_of(1, size);
    rw_status status = rw_reduction_new(&layout, &tree, (size_t)size << 31, &reduction);
    mpi_test_all(status == RW_ERROR && !reduction && strstr(rw_message(), "more ranks"),
                 "message: %s", rw_message());
    rw_clear_message();
    rw_layout_free(&layout);
}

static double sum_scalars(const rw_layout *layout, long chunks)
{
    rw_range b = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
    rw_random random = rw_random_stream(11, RW_RANDOM_TEST, 51);
    rw_tree tree = rw_tree_of(SEQUENCES, chunks);
    double leaf[SEQUENCES * MOST_CHUNKS], *next = leaf;
    rw_reduction *reduction;
    for (long i = b.begin; i < b.end; i++)
        for (long j = c.begin; j < c.end; j++)
            *next++ = rw_random_normal(random, (uint64_t)(i * chunks + j));
    assert_int_equal(rw_reduction_new(layout, &tree, 1, &reduction), RW_OK);
    double sum = rw_reduction_scalar(reduction, leaf);
    rw_reduction_destroy(&reduction);
    return sum;
}

static void check_scalars(const rw_layout *layout)
{
    rw_random random = rw_random_stream(11, RW_RANDOM_TEST, 51);
    for (long chunks = layout->sp; chunks <= MOST_CHUNKS; chunks++) {
        double plain = 0;
        rw_layout alone;
        assert_int_equal(rw_layout_alone(layout->threads, &alone), RW_OK);
        double wanted = sum_scalars(&alone, chunks), got = sum_scalars(layout, chunks);
        rw_layout_free(&alone);
        for (long i = 0; i < SEQUENCES * chunks; i++)
            plain += rw_random_normal(random, (uint64_t)i);
        mpi_test_all(fabs(wanted - plain) <= 1e-11, "sum of %ld numbers", chunks);
        mpi_test_all(memcmp(&got, &wanted, sizeof got) == 0, "sum of %ld numbers on %d x %d ranks",
                     chunks, layout->dp, layout->sp);
    }
}

static void test_scalars(void **unused)
{
    (void)unused;
    on_every_layout(check_scalars);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_of_all_leaves_is_the_root),
        cmocka_unit_test(test_empty_nodes),
        cmocka_unit_test(test_stack_depth),
        cmocka_unit_test(test_scans),
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_overlapping_sums),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_messages_too_long),
        cmocka_unit_test(test_scalars),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("tree", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
