/* The chunk tree and sums along it: against plain loops, and with the same bits on
 * every layout of the ranks that this program is started with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>

#include "chunk_parts.h"
#include "mpi/tree_reduce.h"
#include "mpi_testing.h"

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

/* As many sums as may be in flight, one after the other, of different lengths.
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
        if (i < SUMS && rw_reduction_in_flight(reduction) < RW_REDUCTIONS) {
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
