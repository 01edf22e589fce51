#include "model/engine.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/gemm.h"
#include "model/chunk_pass.h"
#include "model/global_run.h"
#include "model/ordered_run.h"
#include "model/step_carry.h"
#include "mpi/shift.h"

/* ---- Making -------------------------------------------------------------- */

static rw_status allocate(rw_engine *e)
{
    const rw_plan *p = e->plan;
    size_t threads = (size_t)e->layout->threads, map = 0, state = 0, shift = 0, ordered = 0;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->op->carry == RW_CARRY_SHIFT && node->state > shift) shift = node->state;
        if (node->op->carry == RW_CARRY_SEQUENCE && node->state > ordered) ordered = node->state;
        if (node->op->carry != RW_CARRY_TREE) continue;
        if (node->map > map) map = node->map;
        if (node->state > state) state = node->state;
    }
    long local = p->chunks.end - p->chunks.begin;
    long sequences = p->sequences.end - p->sequences.begin;
    if (!e->shares) RW_TRY(rw_alloc(p->arena, sizeof(real), "activations", &e->arena));
    RW_TRY(rw_alloc(threads * (p->scratch + p->op_scratch + 32), sizeof(real), "scratch memory",
                    &e->scratch));
    RW_TRY(rw_alloc(p->derived_total, sizeof(real), "derived parameters", &e->derived));
    if (p->options.training && p->options.recompute == RW_RECOMPUTE_CHUNK)
        RW_TRY(rw_alloc(threads * p->largest_leaf, sizeof(real), "gradients to throw away",
                        &e->discarded));
    RW_TRY(rw_check_message((double)p->micro * (double)shift,
                            "the rows that a convolution hands on",
                            "use a larger train.accumulate"));
    RW_TRY(rw_alloc(2 * (size_t)p->micro * shift, sizeof(real), "halos", &e->shift));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->losses));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->corrects));
    RW_TRY(rw_alloc((size_t)(p->micro * local), 1, "documents", &e->cuts));
    RW_TRY(rw_pipeline_new(e->layout, p->micro, ordered, &e->pipeline));
    RW_TRY(
        rw_scan_new(e->layout, p->micro, p->tree.chunks, map, state, p->options.carry, &e->scan));
    size_t dderived = 0;
    for (int i = 0; i < p->node_count; i++)
        if (p->nodes[i].derived_grad > dderived) dderived = p->nodes[i].derived_grad;
    RW_TRY(rw_alloc(dderived, sizeof(real), "gradients of derived parameters", &e->dderived));
    RW_TRY(rw_global_allocate(e));
    RW_TRY(rw_step_carry_new(p, &e->carry));
    return rw_gradient_sum_new(p, e->layout, &e->sum);
}

rw_status rw_engine_new(rw_model *model, const rw_layout *layout, const rw_plan_options *options,
                        rw_engine **out)
{
    return rw_engine_new_sharing(model, layout, options, NULL, out);
}

rw_status rw_engine_new_sharing(rw_model *model, const rw_layout *layout,
                                const rw_plan_options *options, rw_engine *with, rw_engine **out)
{
    rw_status status = RW_OK;
    rw_engine *e = NULL;
    if (layout->threads > 1 && !rw_gemm_is_thread_safe())
        return rw_fail(RW_ERROR,
                       "this OpenBLAS was built for one thread: several threads would get wrong "
                       "products; install another (apt install libopenblas0-pthread), or use "
                       "--threads 1 and more ranks");
    RW_TRY(rw_alloc(1, sizeof *e, "the engine", &e));
    e->model = model;
    e->layout = layout;
    RW_TRY_DONE(rw_plan_new(model->graph, layout, options, &e->plan));
    e->shares = with && with->plan->arena >= e->plan->arena;
    if (e->shares) e->arena = with->arena;
    RW_TRY_DONE(allocate(e));
done:
    if (status != RW_OK) rw_engine_destroy(&e);
    *out = e;
    return status;
}

void rw_engine_destroy(rw_engine **engine)
{
    rw_engine *e = *engine;
    if (!e) return;
    rw_gradient_sum_destroy(&e->sum);
    rw_scan_destroy(&e->scan);
    rw_pipeline_destroy(&e->pipeline);
    rw_step_carry_destroy(&e->carry);
    if (!e->shares) rw_free(&e->arena);
    rw_free(&e->scratch);
    rw_free(&e->derived);
    rw_free(&e->dderived);
    rw_free(&e->shift);
    rw_free(&e->losses);
    rw_free(&e->corrects);
    rw_free(&e->cuts);
    rw_free(&e->discarded);
    rw_free(&e->workspace);
    rw_free(&e->starts);
    rw_plan_destroy(&e->plan);
    rw_free(engine);
}

rw_range rw_engine_sequences(const rw_engine *engine)
{
    return engine->plan->sequences;
}

rw_range rw_engine_rows(const rw_engine *engine)
{
    long begin = engine->plan->chunks.begin * engine->plan->options.chunk;
    return (rw_range){begin, begin + rw_plan_rows(engine->plan)};
}

/* The affine arithmetic of a node, for the scan. */
typedef struct {
    const rw_node *node;
    const real *derived;
} arithmetic;

static void advance(const void *context, const real *map, int level, bool transpose, int begin,
                    int end, const real *x, const real *b, real *y)
{
    const arithmetic *a = context;
    a->node->op->advance(a->node, a->derived, map, level, transpose, begin, end, x, b, y);
}

static void compose(const void *context, const real *left, const real *right, real *out)
{
    const arithmetic *a = context;
    a->node->op->compose(a->node, left, right, out);
}

/* The last chunk shifts its part into the next step. */
static void keep_last_part(const rw_pass *w, int i)
{
    const rw_plan *p = w->e->plan;
    size_t state = p->nodes[i].state, local = (size_t)rw_local_chunks(p);
    const real *part = w->e->arena + p->carry[i].part;
    if (p->chunks.end != p->tree.chunks || !rw_step_carry_out(w, i, 0)) return;
    for (long b = 0; b < w->part.end - w->part.begin; b++)
        memcpy(rw_step_carry_out(w, i, b), part + ((size_t)(b + 1) * local - 1) * state,
               state * sizeof(real));
}

static void exchange(const rw_pass *w, int i, bool mirrored)
{
    rw_engine *e = w->e;
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    const rw_carry_place *place = &p->carry[i];
    long sequences = w->part.end - w->part.begin;
    real *out = e->arena + (mirrored ? place->gradient : place->value);
    if (node->op->carry == RW_CARRY_SEQUENCE) {
        rw_ordered_run(w, i, mirrored);
        return;
    }
    if (node->op->carry == RW_CARRY_GLOBAL) {
        rw_global_run(w, i, mirrored);
        return;
    }
    if (node->op->carry == RW_CARRY_SHIFT) {
        rw_shift_run(e->layout, sequences, rw_local_chunks(p), node->state, mirrored,
                     e->arena + place->part, out, e->shift);
        if (!mirrored) keep_last_part(w, i);
        return;
    }
    arithmetic a = {node, e->derived + p->derived[i]};
    rw_affine affine = {node->map, node->state, node->lanes, &a, advance, compose};
    rw_scan_ends ends = {rw_step_carry_in(w, i, 0), rw_step_carry_out(w, i, 0)};
    rw_scan_run(e->scan, &affine, sequences, mirrored, w->batch->starts ? e->cuts : NULL,
                mirrored ? NULL : &ends, e->arena + place->map, e->arena + place->part, out);
}

static void forward_segment(const rw_pass *w, int s)
{
    const rw_plan *p = w->e->plan;
    const rw_segment *segment = &p->segments[s];
    long local = rw_local_chunks(p), all = (w->part.end - w->part.begin) * local;
#pragma omp parallel num_threads(w->e->layout->threads)
    {
        rw_range mine = rw_split(all, omp_get_num_threads(), omp_get_thread_num());
        for (long i = mine.begin; i < mine.end; i++) {
            rw_chunk_forward(w, segment, i / local, p->chunks.begin + i % local);
            rw_pass_progress(w);
        }
    }
    if (segment->closes >= 0) exchange(w, segment->closes, false);
}

static void backward_segment(const rw_pass *w, int s)
{
    const rw_plan *p = w->e->plan;
    const rw_segment *segment = &p->segments[s];
    rw_gradient_sum *sum = w->e->sum;
    long local = rw_local_chunks(p), all = (w->part.end - w->part.begin) * local;
#pragma omp parallel num_threads(w->e->layout->threads)
    {
        int thread = omp_get_thread_num();
        rw_range mine = rw_split(all, omp_get_num_threads(), thread);
        for (long i = mine.begin; i < mine.end; i++) {
            long b = i / local, c = p->chunks.begin + i % local;
            real *leaf = rw_gradient_sum_leaf(sum, thread, segment->leaf);
            rw_chunk_backward(w, segment, leaf, b, c);
            long number = rw_tree_leaf(&p->tree, p->sequences.begin + w->part.begin + b, c);
            rw_gradient_sum_push(sum, thread, number, segment->leaf);
            rw_pass_progress(w);
        }
    }
    rw_gradient_sum_collect(sum, s);
    if (segment->opens) exchange(w, segment->first, true);
}

/* ---- Parameters: once a step ------------------------------------------------ */

static void params_of(const rw_engine *e, real *base, int i, real **param)
{
    const rw_node *node = &e->plan->nodes[i];
    for (int k = 0; k < node->params; k++)
        param[k] = base + rw_graph_param_at(e->plan->graph, node->param[k])->offset;
}

static void prepare(rw_engine *e)
{
    const rw_plan *p = e->plan;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!node->op->prepare) continue;
        real *param[RW_MAX_OP_PARAMS];
        params_of(e, e->model->weights, i, param);
#pragma omp parallel num_threads(e->layout->threads)
        {
            rw_range lanes = rw_split(node->lanes, omp_get_num_threads(), omp_get_thread_num());
            if (lanes.end > lanes.begin)
                node->op->prepare(node, (const real *const *)param, e->derived + p->derived[i],
                                  (int)lanes.begin, (int)lanes.end, rw_op_scratch(e));
        }
    }
}

static void prepare_backward(rw_engine *e, int i, const real *dderived)
{
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    real *param[RW_MAX_OP_PARAMS], *dparam[RW_MAX_OP_PARAMS];
    params_of(e, e->model->weights, i, param);
    params_of(e, e->model->gradient, i, dparam);
#pragma omp parallel num_threads(e->layout->threads)
    {
        rw_range lanes = rw_split(node->lanes, omp_get_num_threads(), omp_get_thread_num());
        if (lanes.end > lanes.begin)
            node->op->prepare_backward(node, (const real *const *)param, e->derived + p->derived[i],
                                       dderived, dparam, (int)lanes.begin, (int)lanes.end,
                                       rw_op_scratch(e));
    }
}

/* Adds the summed leaf's part of node i to the gradient of the parameters. */
static void spread(rw_engine *e, int i, const real *total)
{
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    real *dparam[RW_MAX_OP_PARAMS];
    params_of(e, e->model->gradient, i, dparam);
    for (int k = 0; k < node->params; k++) {
        const real *from = total + p->leaf_param[i][k];
        real *to = dparam[k];
        long n = node->param_rows[k] * node->param_cols[k];
#pragma omp parallel for schedule(static)
        for (long j = 0; j < n; j++) to[j] += from[j];
    }
    if (node->derived_grad) prepare_backward(e, i, total + p->leaf_derived[i]);
}

/* Finishes the sum over ranks that was started first. Always in the order of
 * backward: a parameter that several segments use gets its parts in the same
 * order on every layout. */
static void take_sum(rw_engine *e)
{
    int s;
    const real *total = rw_gradient_sum_finish(e->sum, &s);
    const rw_segment *segment = &e->plan->segments[s];
    if (segment->closes >= 0) spread(e, segment->closes, total);
    for (int i = segment->last - 1; i >= segment->first; i--)
        if (!rw_opens(segment, i)) spread(e, i, total);
}

/* Begins the sum of a segment's gradient over ranks; backward of the segments
 * before it goes on meanwhile. */
static void start_sum(rw_engine *e, int s)
{
    if (!e->plan->segments[s].leaf) return;
    if (rw_gradient_sum_under_way(e->sum) == RW_REDUCTIONS) take_sum(e);
    rw_gradient_sum_start(e->sum, s);
}

/* ---- Steps -------------------------------------------------------------------- */

static double count_targets(const rw_engine *e, const rw_batch *batch)
{
    long counted = batch->counted;
    /* The ranks of one sp_comm hold different tokens: every rank counts its own. */
    MPI_Allreduce(MPI_IN_PLACE, &counted, 1, MPI_LONG, MPI_SUM, e->layout->world);
    return (double)counted;
}

static double mean_loss(rw_engine *e, double counted)
{
    return rw_gradient_sum_scalar(e->sum, e->losses) / (counted > 0 ? counted : 1);
}

static void backward_micro(const rw_pass *w, bool last)
{
    const rw_plan *p = w->e->plan;
    for (int s = p->segment_count - 1; s >= 0; s--) {
        const rw_segment *segment = &p->segments[s];
        bool again = s == segment->end - 1 && segment->recompute == RW_RECOMPUTE_BLOCK;
        for (int r = segment->begin; again && r < segment->end; r++) forward_segment(w, r);
        backward_segment(w, s);
        if (last) start_sum(w->e, s);
    }
    while (rw_gradient_sum_under_way(w->e->sum)) take_sum(w->e);
}

void rw_engine_train(rw_engine *e, const rw_batch *batch, uint64_t seed, uint64_t step,
                     rw_loss *out)
{
    const rw_plan *p = e->plan;
    rw_pass w = {.e = e, .batch = batch, .seed = seed, .step = step, .training = true};
    out->counted = count_targets(e, batch);
    w.loss_scale = (real)(1 / (out->counted > 0 ? out->counted : 1));
    memset(e->model->gradient, 0, rw_graph_weights(p->graph) * sizeof(real));
    rw_gradient_sum_reset(e->sum);
    prepare(e);
    for (int m = 0; m < p->options.accumulate; m++) {
        w.part = rw_split(batch->sequences, p->options.accumulate, m);
        rw_pass_find_cuts(&w);
        rw_global_find_documents(&w);
        for (int s = 0; s < p->segment_count; s++) forward_segment(&w, s);
        backward_micro(&w, m == p->options.accumulate - 1);
    }
    out->loss = mean_loss(e, out->counted);
    out->correct = 0;
}

void rw_engine_carry_on(rw_engine *e)
{
    rw_step_carry_hand_on(e->carry, e->layout);
}

int rw_engine_carried(const rw_engine *e, const rw_carried **out)
{
    return rw_step_carry_list(e->carry, out);
}

void rw_engine_evaluate(rw_engine *e, const rw_batch *batch, real *row_loss, rw_loss *out)
{
    const rw_plan *p = e->plan;
    rw_pass w = {.e = e, .batch = batch, .row_loss = row_loss};
    out->counted = count_targets(e, batch);
    prepare(e);
    for (int m = 0; m < p->options.accumulate; m++) {
        w.part = rw_split(batch->sequences, p->options.accumulate, m);
        rw_pass_find_cuts(&w);
        rw_global_find_documents(&w);
        for (int s = 0; s < p->segment_count; s++) forward_segment(&w, s);
    }
    out->loss = mean_loss(e, out->counted);
    out->correct = rw_gradient_sum_scalar(e->sum, e->corrects);
}
