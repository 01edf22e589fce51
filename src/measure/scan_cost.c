#include "measure/scan_cost.h"

#include <omp.h>

#include "base/memory.h"
#include "base/random.h"
#include "mpi/tree_scan.h"

/* The carry of a node: (sequences, chunks, transition) and (sequences, chunks, state). */
typedef struct {
    const rw_node *node;
    real *derived, *transition, *part, *out;
} carry;

struct rw_scan_cost {
    const rw_model *model;
    rw_layout layout; /* this rank alone */
    rw_scan *scan;
    long sequences, chunks;
    carry *carries;
    int count;
};

/* ---- Making ---------------------------------------------------------------------- */

static rw_status numbers(size_t count, real **out)
{
    rw_random random = rw_random_stream(1, RW_RANDOM_TEST, count);
    RW_TRY(rw_alloc(count, sizeof(real), "carries", out));
    for (size_t i = 0; i < count; i++) (*out)[i] = (real)(rw_random_uniform(random, i) - 0.5);
    return RW_OK;
}

static rw_status prepare(const rw_scan_cost *s, carry *c)
{
    const rw_node *node = c->node;
    const real *param[RW_MAX_OP_PARAMS];
    real *scratch = NULL;
    RW_TRY(rw_alloc(node->size.derived, sizeof(real), "derived parameters", &c->derived));
    if (!node->op->prepare) return RW_OK;
    for (int k = 0; k < node->params; k++)
        param[k] = s->model->weights + rw_graph_param_at(s->model->graph, node->param[k])->offset;
    RW_TRY(rw_alloc(node->size.scratch, sizeof(real), "scratch memory", &scratch));
    node->op->prepare(node, param, c->derived, 0, node->size.slices, scratch);
    rw_free(&scratch);
    return RW_OK;
}

static rw_status new_carry(rw_scan_cost *s, const rw_node *node)
{
    size_t chunks = (size_t)(s->sequences * s->chunks);
    carry *c = &s->carries[s->count++];
    c->node = node;
    RW_TRY(numbers(chunks * node->size.transition, &c->transition));
    RW_TRY(numbers(chunks * node->size.state, &c->part));
    RW_TRY(numbers(chunks * node->size.state, &c->out));
    return prepare(s, c);
}

static rw_status fill(rw_scan_cost *s, const rw_plan *p, int threads)
{
    size_t transition = 0, state = 0;
    s->sequences = p->sequences.end - p->sequences.begin;
    s->chunks = p->chunks.end - p->chunks.begin;
    RW_TRY(rw_layout_alone(threads, &s->layout));
    RW_TRY(rw_alloc((size_t)p->node_count, sizeof *s->carries, "carries", &s->carries));
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!node->op->tree) continue;
        if (node->size.transition > transition) transition = node->size.transition;
        if (node->size.state > state) state = node->size.state;
        RW_TRY(new_carry(s, node));
    }
    return rw_scan_new(&s->layout, 1, s->sequences, s->chunks, transition, state, false, &s->scan);
}

rw_status rw_scan_cost_new(const rw_model *model, const rw_plan *plan, int threads,
                           rw_scan_cost **out)
{
    RW_TRY(rw_alloc(1, sizeof **out, "carries", out));
    (*out)->model = model;
    rw_status status = fill(*out, plan, threads);
    if (status != RW_OK) rw_scan_cost_destroy(out);
    return status;
}

void rw_scan_cost_destroy(rw_scan_cost **cost)
{
    rw_scan_cost *s = *cost;
    if (!s) return;
    for (int i = 0; i < s->count; i++) {
        rw_free(&s->carries[i].derived);
        rw_free(&s->carries[i].transition);
        rw_free(&s->carries[i].part);
        rw_free(&s->carries[i].out);
    }
    rw_free(&s->carries);
    rw_scan_destroy(&s->scan);
    rw_layout_free(&s->layout);
    rw_free(cost);
}

/* ---- On the tree ------------------------------------------------------------------- */

static void advance(const void *context, const real *transition, int level, bool transpose,
                    int begin, int end, const real *x, const real *b, real *y)
{
    const carry *c = context;
    c->node->op->tree->advance(c->node, c->derived, transition, level, transpose, begin, end, x, b,
                               y);
}

static void compose(const void *context, const real *left, const real *right, real *out)
{
    const carry *c = context;
    c->node->op->tree->compose(c->node, left, right, out);
}

void rw_scan_cost_tree(rw_scan_cost *s)
{
    for (int i = 0; i < s->count; i++) {
        const carry *c = &s->carries[i];
        rw_affine affine = {c->node->size.transition,
                            c->node->size.state,
                            c->node->size.slices,
                            c,
                            advance,
                            compose};
        for (int mirrored = 0; mirrored < 2; mirrored++)
            rw_scan_run(s->scan, &affine, s->sequences, mirrored, NULL, NULL, c->transition,
                        c->part, c->out);
    }
}

/* ---- In one pass --------------------------------------------------------------------- */

/* Slices of one sequence. Mirrored, chunk 0 is the last one. */
static void pass(const carry *c, long chunks, long sequence, bool mirrored, rw_range slices)
{
    const rw_node *node = c->node;
    long first = sequence * chunks + (mirrored ? chunks - 1 : 0), step = mirrored ? -1 : 1;
    for (long k = 1; k < chunks; k++) {
        size_t from = (size_t)(first + (k - 1) * step), to = (size_t)(first + k * step);
        const real *x = k > 1 ? c->out + from * node->size.state : NULL;
        advance(c, c->transition + from * node->size.transition, 0, mirrored, (int)slices.begin,
                (int)slices.end, x, c->part + from * node->size.state,
                c->out + to * node->size.state);
    }
}

void rw_scan_cost_pass(rw_scan_cost *s)
{
#pragma omp parallel num_threads(s->layout.threads)
    for (int i = 0; i < s->count; i++) {
        const carry *c = &s->carries[i];
        rw_range slices =
            rw_split(c->node->size.slices, omp_get_num_threads(), omp_get_thread_num());
        for (long b = 0; b < s->sequences; b++)
            for (int mirrored = 0; mirrored < 2; mirrored++)
                pass(c, s->chunks, b, mirrored, slices);
    }
}
