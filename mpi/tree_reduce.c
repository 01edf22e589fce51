#include "mpi/tree_reduce.h"

#include <string.h>

#include "base/memory.h"

/* The maximal nodes of a rank. */
typedef struct {
    rw_tree_node *node;
    int count;
    int place; /* of the first among the nodes of all ranks, rank by rank */
} cover;

/* A sum in flight. First every rank gets its slice of all nodes and adds them. Then every rank gets
 * all slices of the sum. */
typedef enum { SLICES, SUMS, DONE } stage;

typedef struct {
    stage stage;
    size_t n;
    real **node;    /* maximal nodes of this rank; node[0] becomes the sum */
    real *received; /* the slice of this rank of the nodes of all ranks, by place */
    MPI_Request *request;
    int requests;
} flight;

struct rw_reduction {
    const rw_layout *layout;
    rw_tree tree;
    cover *of_rank;
    rw_tree_node *order; /* nodes of all ranks by leaf; slot = place */
    int total;
    rw_tree_node *stack_nodes;
    flight flights[RW_REDUCTIONS];
    int oldest, in_flight;
    int *counts, *places; /* of the scalars: a rank each */
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

/* The covers of all ranks, and their nodes in the order of the tree. */
static rw_status plan_nodes(rw_reduction *r)
{
    int ranks = r->layout->size, place = 0;
    RW_TRY(rw_alloc((size_t)ranks, sizeof *r->of_rank, "a reduction", &r->of_rank));
    for (int q = 0; q < ranks; q++) {
        RW_TRY(cover_of(&r->tree, r->layout, q, &r->of_rank[q]));
        r->of_rank[q].place = r->total;
        r->total += r->of_rank[q].count;
    }
    RW_TRY(rw_alloc((size_t)r->total, sizeof *r->order, "a reduction", &r->order));
    RW_TRY(rw_alloc((size_t)r->total + 1, sizeof *r->order, "a reduction", &r->stack_nodes));
    for (int q = 0; q < ranks; q++)
        for (int i = 0; i < r->of_rank[q].count; i++, place++) {
            r->order[place] = r->of_rank[q].node[i];
            r->order[place].slot = place;
        }
    sort_nodes(r->order, r->total);
    return RW_OK;
}

static rw_status new_flight(const rw_reduction *r, size_t longest, flight *f)
{
    size_t ranks = (size_t)r->layout->size, mine = (size_t)rw_reduction_nodes(r);
    size_t slice = longest / ranks + 1, all = (size_t)r->total;
    RW_TRY(rw_alloc(mine, sizeof *f->node, "a reduction", &f->node));
    if (ranks == 1) return RW_OK;
    RW_TRY(
        rw_alloc(all - mine + mine * (ranks - 1), sizeof *f->request, "a reduction", &f->request));
    return rw_alloc(all * slice, sizeof(real), "gradients received", &f->received);
}

rw_status rw_reduction_new(const rw_layout *layout, const rw_tree *tree, size_t longest,
                           rw_reduction **out)
{
    rw_status status = RW_OK;
    rw_reduction *r = NULL;
    size_t ranks = (size_t)layout->size;
    *out = NULL;
    if (ranks > 1)
        RW_TRY(rw_check_message((double)(longest / ranks + 1), "the gradient of a block",
                                "use more ranks, or more and smaller blocks"));
    RW_TRY(rw_alloc(1, sizeof *r, "a reduction", &r));
    r->layout = layout;
    r->tree = *tree;
    RW_TRY_DONE(plan_nodes(r));
    RW_TRY_DONE(rw_alloc((size_t)r->total, sizeof(double), "a reduction", &r->scalars));
    RW_TRY_DONE(rw_alloc(2 * ranks, sizeof(int), "a reduction", &r->counts));
    r->places = r->counts + ranks;
    for (int i = 0; i < RW_REDUCTIONS; i++) RW_TRY_DONE(new_flight(r, longest, &r->flights[i]));
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
    for (int i = 0; i < RW_REDUCTIONS; i++) {
        rw_free(&r->flights[i].node);
        rw_free(&r->flights[i].request);
        rw_free(&r->flights[i].received);
    }
    rw_free(&r->of_rank);
    rw_free(&r->order);
    rw_free(&r->stack_nodes);
    rw_free(&r->scalars);
    rw_free(&r->counts);
    rw_free(reduction);
}

int rw_reduction_nodes(const rw_reduction *reduction)
{
    return reduction->of_rank[reduction->layout->rank].count;
}

/* ---- Sums of vectors, by slices ------------------------------------------- */

static rw_range slice_of(const rw_reduction *r, const flight *f, int rank)
{
    return rw_split((long)f->n, r->layout->size, rank);
}

static size_t length_of(rw_range range)
{
    return (size_t)(range.end - range.begin);
}

/* Tags tell sums in flight apart. Messages of a sum from a rank arrive in the order of its nodes.
 */
static int tag_of(const rw_reduction *r, const flight *f)
{
    return 2 * (int)(f - r->flights) + (f->stage == SUMS);
}

static void send(const rw_reduction *r, flight *f, const real *from, size_t n, int rank)
{
    MPI_Isend(from, (int)n, RW_MPI_REAL, rank, tag_of(r, f), r->layout->world,
              &f->request[f->requests++]);
}

static void receive(const rw_reduction *r, flight *f, real *to, size_t n, int rank)
{
    MPI_Irecv(to, (int)n, RW_MPI_REAL, rank, tag_of(r, f), r->layout->world,
              &f->request[f->requests++]);
}

/* The rank `k` places after this rank: each rank begins with another partner. */
static int peer(const rw_reduction *r, int k)
{
    return (r->layout->rank + k) % r->layout->size;
}

static void post_slices(const rw_reduction *r, flight *f)
{
    const cover *own = &r->of_rank[r->layout->rank];
    rw_range mine = slice_of(r, f, r->layout->rank);
    size_t n = length_of(mine);
    f->stage = SLICES;
    f->requests = 0;
    for (int k = 1; k < r->layout->size; k++) {
        const cover *c = &r->of_rank[peer(r, k)];
        for (int i = 0; i < c->count; i++)
            receive(r, f, f->received + (size_t)(c->place + i) * n, n, peer(r, k));
    }
    for (int k = 1; k < r->layout->size; k++) {
        rw_range part = slice_of(r, f, peer(r, k));
        for (int i = 0; i < own->count; i++)
            send(r, f, f->node[i] + part.begin, length_of(part), peer(r, k));
    }
    for (int i = 0; i < own->count; i++)
        memcpy(f->received + (size_t)(own->place + i) * n, f->node[i] + mine.begin,
               n * sizeof(real));
}

static void post_sums(const rw_reduction *r, flight *f)
{
    rw_range mine = slice_of(r, f, r->layout->rank);
    const real *sum = f->received + (size_t)r->order[0].slot * length_of(mine);
    f->stage = SUMS;
    f->requests = 0;
    for (int k = 1; k < r->layout->size; k++) {
        rw_range part = slice_of(r, f, peer(r, k));
        receive(r, f, f->node[0] + part.begin, length_of(part), peer(r, k));
    }
    for (int k = 1; k < r->layout->size; k++) send(r, f, sum, length_of(mine), peer(r, k));
    memcpy(f->node[0] + mine.begin, sum, length_of(mine) * sizeof(real));
}

typedef struct {
    real *base;
    size_t n;
} slices;

static void add_slices(void *context, int left, int right)
{
    const slices *s = context;
    real *a = s->base + (size_t)left * s->n;
    const real *b = s->base + (size_t)right * s->n;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->n; i++) a[i] += b[i];
}

static void fold(const rw_reduction *r, void (*combine)(void *, int, int), void *context)
{
    rw_tree_stack stack = {r->stack_nodes, 0, r->total + 1};
    for (int i = 0; i < r->total; i++)
        rw_tree_push(&r->tree, &stack, r->order[i], combine, context);
}

size_t rw_reduction_bytes(const rw_reduction *r, size_t n)
{
    const rw_layout *layout = r->layout;
    size_t slice = length_of(rw_split((long)n, layout->size, layout->rank));
    size_t others = (size_t)layout->size - 1;
    return sizeof(real) * ((n - slice) * (size_t)rw_reduction_nodes(r) + slice * others);
}

static bool arrived(flight *f, bool waits)
{
    int done = 1;
    if (waits)
        MPI_Waitall(f->requests, f->request, MPI_STATUSES_IGNORE);
    else
        MPI_Testall(f->requests, f->request, &done, MPI_STATUSES_IGNORE);
    return done;
}

/* Moves a sum on as far as possible; waiting: to its end. */
static void advance(const rw_reduction *r, flight *f, bool waits)
{
    if (f->stage == SLICES && arrived(f, waits)) {
        slices s = {f->received, length_of(slice_of(r, f, r->layout->rank))};
        fold(r, add_slices, &s);
        post_sums(r, f);
    }
    if (f->stage == SUMS && arrived(f, waits)) {
        f->stage = DONE;
        rw_comm_end((double)rw_reduction_bytes(r, f->n));
    }
}

static flight *nth(rw_reduction *r, int i)
{
    return &r->flights[(r->oldest + i) % RW_REDUCTIONS];
}

void rw_reduction_start(rw_reduction *r, size_t n, real *const *node)
{
    flight *f = nth(r, r->in_flight++);
    f->n = n;
    memcpy(f->node, node, (size_t)rw_reduction_nodes(r) * sizeof *node);
    if (r->layout->size == 1) return;
    double start = rw_comm_begin();
    post_slices(r, f);
    rw_comm_waited(start);
}

void rw_reduction_progress(rw_reduction *r)
{
    if (r->layout->size == 1) return;
    for (int i = 0; i < r->in_flight; i++) advance(r, nth(r, i), false);
}

void rw_reduction_finish(rw_reduction *r)
{
    flight *f = nth(r, 0);
    if (r->layout->size > 1 && f->stage != DONE) {
        double start = MPI_Wtime();
        advance(r, f, true);
        rw_comm_waited(start);
    }
    r->oldest = (r->oldest + 1) % RW_REDUCTIONS;
    r->in_flight--;
}

int rw_reduction_in_flight(const rw_reduction *r)
{
    return r->in_flight;
}

/* ---- Sums of scalars ------------------------------------------------------ */

static void add_scalars(void *context, int left, int right)
{
    double *value = context;
    value[left] += value[right];
}

size_t rw_reduction_scalar_bytes(const rw_reduction *r)
{
    return sizeof(double) * (size_t)rw_reduction_nodes(r) * (size_t)(r->layout->size - 1);
}

/* Sends the doubles of each rank, from its place in r->scalars, to all others. */
static void gather_scalars(rw_reduction *r)
{
    double start = rw_comm_begin();
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, r->scalars, r->counts, r->places, MPI_DOUBLE,
                   r->layout->world);
    rw_comm_end_blocking(start, (double)rw_reduction_scalar_bytes(r));
}

double rw_reduction_scalar(rw_reduction *r, const double *leaf)
{
    const rw_layout *layout = r->layout;
    rw_range b = rw_split(r->tree.sequences, layout->dp, layout->dp_rank);
    rw_range c = rw_split(r->tree.chunks, layout->sp, layout->sp_rank);
    for (int q = 0; q < layout->size; q++) {
        r->counts[q] = r->of_rank[q].count;
        r->places[q] = r->of_rank[q].place;
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
    if (layout->size > 1) gather_scalars(r);
    fold(r, add_scalars, r->scalars);
    return r->scalars[r->order[0].slot];
}
