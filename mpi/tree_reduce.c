#include "mpi/tree_reduce.h"

#include <string.h>

#include "base/memory.h"

/* The maximal nodes of one rank. */
typedef struct {
    rw_tree_node *node;
    int count;
} cover;

struct rw_reduction {
    const rw_layout *layout;
    rw_tree tree;
    cover *of_rank;
    rw_tree_node *order; /* nodes of all ranks by leaf; slot = place in received */
    int total;
    rw_tree_node *stack_nodes;
    size_t slice; /* longest slice of a rank */
    real *send, *received, *gathered;
    int *counts, *places; /* for the all-to-all: send and receive, P each */
    double *scalars;
};

static rw_status cover_of(const rw_tree *tree, const rw_layout *layout, int rank, cover *out)
{
    rw_range b = rw_split(tree->sequences, layout->dp, rank / layout->sp);
    rw_range c = rw_split(tree->chunks, layout->sp, rank % layout->sp);
    rw_tree_depth depth = rw_tree_stack_depth(tree, b.begin, b.end, c.begin, c.end);
    RW_TRY(rw_alloc((size_t)depth.peak + 1, sizeof *out->node, "the chunk tree", &out->node));
    rw_tree_stack stack = {out->node, 0, depth.peak + 1};
    for (long i = b.begin; i < b.end; i++)
        for (long j = c.begin; j < c.end; j++)
            rw_tree_push(tree, &stack, (rw_tree_node){0, rw_tree_leaf(tree, i, j), 0}, NULL, NULL);
    out->count = stack.depth;
    return RW_OK;
}

/* Orders the nodes of all ranks by their first leaf (insertion: nearly sorted). */
static void sort_nodes(rw_tree_node *node, int count)
{
    for (int i = 1; i < count; i++) {
        rw_tree_node moving = node[i];
        int j = i;
        for (; j > 0 && (node[j - 1].index << node[j - 1].level) > (moving.index << moving.level);
             j--)
            node[j] = node[j - 1];
        node[j] = moving;
    }
}

rw_status rw_reduction_new(const rw_layout *layout, const rw_tree *tree, size_t longest,
                           rw_reduction **out)
{
    rw_status status = RW_OK;
    rw_reduction *r = NULL;
    size_t ranks = (size_t)layout->size;
    RW_TRY(rw_alloc(1, sizeof *r, "a reduction", &r));
    r->layout = layout;
    r->tree = *tree;
    RW_TRY_DONE(rw_alloc(ranks, sizeof *r->of_rank, "a reduction", &r->of_rank));
    for (int q = 0; q < layout->size; q++) {
        RW_TRY_DONE(cover_of(tree, layout, q, &r->of_rank[q]));
        r->total += r->of_rank[q].count;
    }
    RW_TRY_DONE(rw_alloc((size_t)r->total, sizeof *r->order, "a reduction", &r->order));
    RW_TRY_DONE(rw_alloc((size_t)r->total + 1, sizeof *r->order, "a reduction", &r->stack_nodes));
    int place = 0;
    for (int q = 0; q < layout->size; q++)
        for (int i = 0; i < r->of_rank[q].count; i++, place++) {
            r->order[place] = r->of_rank[q].node[i];
            r->order[place].slot = place;
        }
    sort_nodes(r->order, r->total);
    RW_TRY_DONE(rw_alloc((size_t)r->total, sizeof(double), "a reduction", &r->scalars));
    RW_TRY_DONE(rw_alloc(4 * ranks, sizeof(int), "a reduction", &r->counts));
    r->places = r->counts + 2 * ranks;
    if (layout->size > 1) {
        r->slice = longest / ranks + 1;
        size_t mine = (size_t)r->of_rank[layout->rank].count;
        RW_TRY_DONE(
            rw_alloc(mine * (longest + ranks), sizeof(real), "gradients to send", &r->send));
        RW_TRY_DONE(rw_alloc((size_t)r->total * r->slice, sizeof(real), "gradients received",
                             &r->received));
        RW_TRY_DONE(rw_alloc(longest, sizeof(real), "summed gradients", &r->gathered));
    }
done:
    if (status != RW_OK) rw_reduction_destroy(&r);
    *out = r;
    return status;
}

void rw_reduction_destroy(rw_reduction **reduction)
{
    rw_reduction *r = *reduction;
    if (!r) return;
    for (int q = 0; r->of_rank && q < r->layout->size; q++) rw_free(&r->of_rank[q].node);
    rw_free(&r->of_rank);
    rw_free(&r->order);
    rw_free(&r->stack_nodes);
    rw_free(&r->scalars);
    rw_free(&r->counts);
    rw_free(&r->send);
    rw_free(&r->received);
    rw_free(&r->gathered);
    rw_free(reduction);
}

int rw_reduction_nodes(const rw_reduction *reduction)
{
    return reduction->of_rank[reduction->layout->rank].count;
}

typedef struct {
    real *base;
    size_t stride, n;
} slices;

static void add_slices(void *context, int left, int right)
{
    const slices *s = context;
    real *a = s->base + (size_t)left * s->stride;
    const real *b = s->base + (size_t)right * s->stride;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n; i++) a[i] += b[i];
}

/* Copies slice q of each of this rank's nodes to where rank q's part starts. */
static void pack(rw_reduction *r, size_t n, real *const *node)
{
    int mine = rw_reduction_nodes(r), ranks = r->layout->size;
    int *send_count = r->counts, *receive_count = r->counts + ranks;
    int *send_place = r->places, *receive_place = r->places + ranks;
    rw_range own = rw_split((long)n, ranks, r->layout->rank);
    size_t at = 0, received = 0;
    for (int q = 0; q < ranks; q++) {
        rw_range part = rw_split((long)n, ranks, q);
        size_t length = (size_t)(part.end - part.begin);
        send_place[q] = (int)at;
        for (int i = 0; i < mine; i++, at += length)
            memcpy(r->send + at, node[i] + part.begin, length * sizeof(real));
        send_count[q] = (int)at - send_place[q];
        receive_place[q] = (int)received;
        receive_count[q] = (int)(own.end - own.begin) * r->of_rank[q].count;
        received += (size_t)receive_count[q];
    }
}

static void fold(rw_reduction *r, void (*combine)(void *, int, int), void *context)
{
    rw_tree_stack stack = {r->stack_nodes, 0, r->total + 1};
    for (int i = 0; i < r->total; i++)
        rw_tree_push(&r->tree, &stack, r->order[i], combine, context);
}

void rw_reduction_run(rw_reduction *r, size_t n, real *const *node, real *out)
{
    const rw_layout *layout = r->layout;
    int ranks = layout->size;
    if (ranks == 1) {
        if (out != node[0]) memcpy(out, node[0], n * sizeof(real));
        return;
    }
    double start = MPI_Wtime();
    pack(r, n, node);
    MPI_Alltoallv(r->send, r->counts, r->places, RW_MPI_REAL, r->received, r->counts + ranks,
                  r->places + ranks, RW_MPI_REAL, layout->world);
    rw_range own = rw_split((long)n, ranks, layout->rank);
    slices s = {r->received, (size_t)(own.end - own.begin), (size_t)(own.end - own.begin)};
    fold(r, add_slices, &s);
    for (int q = 0; q < ranks; q++) {
        rw_range part = rw_split((long)n, ranks, q);
        r->counts[q] = (int)(part.end - part.begin);
        r->places[q] = (int)part.begin;
    }
    const real *sum = r->received + (size_t)r->order[0].slot * s.stride;
    MPI_Allgatherv(sum, (int)s.n, RW_MPI_REAL, r->gathered, r->counts, r->places, RW_MPI_REAL,
                   layout->world);
    memcpy(out, r->gathered, n * sizeof(real));
    double others = (double)(n - s.n);
    double seconds = MPI_Wtime() - start;
    rw_comm_count.seconds += seconds;
    rw_comm_count.exposed += seconds;
    rw_comm_count.bytes +=
        sizeof(real) * (others * rw_reduction_nodes(r) + (double)s.n * (ranks - 1));
}

static void add_scalars(void *context, int left, int right)
{
    double *value = context;
    value[left] += value[right];
}

double rw_reduction_scalar(rw_reduction *r, const double *leaf)
{
    const rw_layout *layout = r->layout;
    rw_range b = rw_split(r->tree.sequences, layout->dp, layout->dp_rank);
    rw_range c = rw_split(r->tree.chunks, layout->sp, layout->sp_rank);
    int place = 0;
    for (int q = 0; q < layout->size; q++) {
        r->counts[q] = r->of_rank[q].count;
        r->places[q] = place;
        place += r->counts[q];
    }
    double *mine = r->scalars + r->places[layout->rank];
    /* Leaves in order on a stack whose slots are 0, 1, 2 ... from the bottom. */
    double values[RW_TREE_MAX_DEPTH];
    rw_tree_node local[RW_TREE_MAX_DEPTH];
    rw_tree_stack stack = {local, 0, RW_TREE_MAX_DEPTH};
    for (long i = b.begin; i < b.end; i++)
        for (long j = c.begin; j < c.end; j++) {
            int slot = stack.depth;
            values[slot] = *leaf++;
            rw_tree_push(&r->tree, &stack, (rw_tree_node){0, rw_tree_leaf(&r->tree, i, j), slot},
                         add_scalars, values);
        }
    memcpy(mine, values, (size_t)stack.depth * sizeof(double));
    if (layout->size > 1)
        MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, r->scalars, r->counts, r->places,
                       MPI_DOUBLE, layout->world);
    fold(r, add_scalars, r->scalars);
    return r->scalars[r->order[0].slot];
}
