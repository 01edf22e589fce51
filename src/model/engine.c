#include "model/engine.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/gemm.h"
#include "model/carry_exchange.h"
#include "model/global_run.h"
#include "model/step_carry.h"

/* ---- Making -------------------------------------------------------------- */

static bool same_places(const rw_plan *a, const rw_plan *b)
{
    for (int i = 0; i < a->node_count; i++)
        if (a->places[i].derived != b->places[i].derived) return false;
    return true;
}

/* Is what prepare makes at the same places in both? Some of it is never written. */
static bool same_derived(const rw_plan *a, const rw_plan *b)
{
    return a->node_count == b->node_count && a->derived_total == b->derived_total &&
           same_places(a, b);
}

/* Memory of the other engine where it is enough, else memory of its own. */
static rw_status allocate_shared(rw_engine *e)
{
    const rw_plan *p = e->plan, *other = e->with ? e->with->plan : NULL;
    const size_t scratch = p->scratch + p->op_scratch;
    if (other && other->arena >= p->arena) e->arena = e->with->arena;
    if (other && other->scratch + other->op_scratch >= scratch) e->scratch = e->with->scratch;
    if (other && same_derived(other, p)) e->derived = e->with->derived;
    if (!e->arena) RW_TRY(rw_alloc(p->arena, sizeof(real), "activations", &e->arena));
    if (!e->scratch)
        RW_TRY(rw_alloc((size_t)e->layout->threads * (scratch + 32), sizeof(real), "scratch memory",
                        &e->scratch));
    if (e->derived) return RW_OK;
    return rw_alloc(p->derived_total, sizeof(real), "derived parameters", &e->derived);
}

static void free_shared(rw_engine *e)
{
    const rw_engine *with = e->with;
    if (!with || e->arena != with->arena) rw_free(&e->arena);
    if (!with || e->scratch != with->scratch) rw_free(&e->scratch);
    if (!with || e->derived != with->derived) rw_free(&e->derived);
}

static rw_status allocate(rw_engine *e)
{
    const rw_plan *p = e->plan;
    size_t threads = (size_t)e->layout->threads, ordered = 0;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->op->sequence && node->size.state > ordered) ordered = node->size.state;
    }
    long local = p->chunks.end - p->chunks.begin;
    long sequences = p->sequences.end - p->sequences.begin;
    RW_TRY(allocate_shared(e));
    if (p->options.training && p->options.recompute == RW_RECOMPUTE_CHUNK)
        RW_TRY(rw_alloc(threads * p->largest_leaf, sizeof(real), "gradients to throw away",
                        &e->discarded));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->losses));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->corrects));
    RW_TRY(rw_alloc((size_t)(p->micro * local), 1, "documents", &e->cuts));
    RW_TRY(rw_pipeline_new(e->layout, p->micro, ordered, &e->pipeline));
    RW_TRY(rw_carry_exchange_new(e, &e->exchange));
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
    const char *missing = rw_precision_missing(options->precision);
    if (missing)
        return rw_fail(RW_USAGE, "no products in bf16: %s; use float32 or bf16_emulated", missing);
    RW_TRY(rw_alloc(1, sizeof *e, "the engine", &e));
    e->model = model;
    e->layout = layout;
    e->with = with;
    RW_TRY_DONE(rw_plan_new(model->graph, layout, options, &e->plan));
    RW_TRY_DONE(allocate(e));
    if (!with && !rw_gemm_take_buffers(layout->threads))
        status = rw_fail(RW_ERROR,
                         "out of memory: beside what is in use, OpenBLAS needs 128 MiB of address "
                         "space for each of %d threads; raise the limits of this process (ulimit "
                         "-v, ulimit -d), or use fewer threads or a smaller model",
                         layout->threads);
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
    rw_carry_exchange_destroy(&e->exchange);
    rw_pipeline_destroy(&e->pipeline);
    rw_step_carry_destroy(&e->carry);
    free_shared(e);
    rw_free(&e->losses);
    rw_free(&e->corrects);
    rw_free(&e->cuts);
    rw_free(&e->discarded);
    rw_free(&e->workspace);
    rw_free(&e->starts);
    rw_free(&e->extended);
    rw_free(&e->extended_starts);
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

/* What is done to chunk c of sequence b. */
typedef void (*chunk_work)(const rw_pass *w, int s, long b, long c);

static void chunk_forward(const rw_pass *w, int s, long b, long c)
{
    rw_chunk_forward(w, &w->e->plan->segments[s], b, c);
}

static void chunk_backward(const rw_pass *w, int s, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_segment *segment = &p->segments[s];
    int thread = omp_get_thread_num();
    real *leaf = rw_gradient_sum_leaf(w->e->sum, thread, segment->leaf);
    rw_chunk_backward(w, segment, leaf, b, c);
    long number = rw_tree_leaf(&p->tree, p->sequences.begin + w->part.begin + b, c);
    rw_gradient_sum_push(w->e->sum, thread, number, segment->leaf);
}

/* Chunks [begin, end) of a group, in the order of sequences. */
static void run_chunks(const rw_pass *w, int s, rw_range group, rw_range chunks, chunk_work work)
{
    const rw_plan *p = w->e->plan;
    long local = rw_local_chunks(p);
    for (long i = chunks.begin; i < chunks.end; i++) {
        work(w, s, group.begin + i / local, p->chunks.begin + i % local);
        rw_pass_progress(w);
    }
}

/* By the thread that calls MPI: its share of chunks, the one that has to wait for
 * the exchange when that has come. Forward, it is the first of the share and
 * goes last; backward, with leaves in order, it is the last as it is. */
static void run_with_late(const rw_pass *w, int s, int group, rw_range chunks, long late,
                          chunk_work work)
{
    rw_range sequences = rw_pass_group(w, group);
    if (chunks.begin == late)
        chunks.begin++;
    else
        chunks.end--;
    run_chunks(w, s, sequences, chunks, work);
    rw_carry_exchange_finish(w, group);
    run_chunks(w, s, sequences, (rw_range){late, late + 1}, work);
}

/* The late chunk of the group, if it is in the share of the thread that calls MPI. */
static long late_chunk(const rw_pass *w, int group, bool mirrored, long all)
{
    long late = rw_carry_exchange_late_chunk(w, mirrored, group);
    rw_range first = rw_split(all, w->e->layout->threads, 0);
    return late >= first.begin && late < first.end ? late : -1;
}

static void run_group(const rw_pass *w, int s, int group, bool mirrored)
{
    rw_range sequences = rw_pass_group(w, group);
    long all = (sequences.end - sequences.begin) * rw_local_chunks(w->e->plan);
    long late = late_chunk(w, group, mirrored, all);
    chunk_work work = mirrored ? chunk_backward : chunk_forward;
    if (late < 0) rw_carry_exchange_finish(w, group);
#pragma omp parallel num_threads(w->e->layout->threads)
    {
        int thread = omp_get_thread_num();
        rw_range mine = rw_split(all, omp_get_num_threads(), thread);
        if (late >= 0 && thread == 0)
            run_with_late(w, s, group, mine, late, work);
        else
            run_chunks(w, s, sequences, mine, work);
    }
}

static void forward_segment(const rw_pass *w, int s)
{
    int closes = w->e->plan->segments[s].closes;
    for (int g = 0; g < rw_pass_groups(w); g++) {
        run_group(w, s, g, false);
        if (closes >= 0) rw_carry_exchange_start(w, closes, false, g);
    }
}

static void backward_segment(const rw_pass *w, int s)
{
    const rw_segment *segment = &w->e->plan->segments[s];
    for (int g = 0; g < rw_pass_groups(w); g++) {
        run_group(w, s, g, true);
        rw_gradient_sum_collect(w->e->sum, s);
        if (segment->opens) rw_carry_exchange_start(w, segment->first, true, g);
    }
}

/* ---- Parameters: once a step ------------------------------------------------ */

static void prepare(rw_engine *e)
{
    const rw_plan *p = e->plan;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!node->op->prepare) continue;
        real *param[RW_MAX_OP_PARAMS];
        rw_graph_params_of(p->graph, node, e->model->weights, param);
#pragma omp parallel num_threads(e->layout->threads)
        {
            rw_range lanes =
                rw_split(node->size.slices, omp_get_num_threads(), omp_get_thread_num());
            if (lanes.end > lanes.begin)
                node->op->prepare(node, (const real *const *)param,
                                  e->derived + p->places[i].derived, (int)lanes.begin,
                                  (int)lanes.end, rw_op_scratch(e));
        }
    }
}

static void prepare_backward(rw_engine *e, int i, const real *dderived)
{
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    real *param[RW_MAX_OP_PARAMS], *dparam[RW_MAX_OP_PARAMS];
    rw_graph_params_of(p->graph, node, e->model->weights, param);
    rw_graph_params_of(p->graph, node, e->model->gradient, dparam);
#pragma omp parallel num_threads(e->layout->threads)
    {
        rw_range lanes = rw_split(node->size.slices, omp_get_num_threads(), omp_get_thread_num());
        if (lanes.end > lanes.begin)
            node->op->prepare_backward(node, (const real *const *)param,
                                       e->derived + p->places[i].derived, dderived, dparam,
                                       (int)lanes.begin, (int)lanes.end, rw_op_scratch(e));
    }
}

/* Adds the summed leaf's part of node i to the gradient of the parameters. */
static void spread(rw_engine *e, int i, const real *total)
{
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    real *dparam[RW_MAX_OP_PARAMS];
    rw_graph_params_of(p->graph, node, e->model->gradient, dparam);
    for (int k = 0; k < node->params; k++) {
        const real *from = total + p->places[i].leaf_param[k];
        real *to = dparam[k];
        long n = node->param_rows[k] * node->param_cols[k];
#pragma omp parallel for schedule(static)
        for (long j = 0; j < n; j++) to[j] += from[j];
    }
    if (node->size.derived_grad) prepare_backward(e, i, total + p->places[i].leaf_derived);
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
    if (rw_gradient_sum_under_way(e->sum) == rw_gradient_sum_most(e->sum)) take_sum(e);
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

static void clear_losses(rw_engine *e)
{
    const rw_plan *p = e->plan;
    size_t n = (size_t)((p->sequences.end - p->sequences.begin) * rw_local_chunks(p));
    memset(e->losses, 0, n * sizeof *e->losses);
    memset(e->corrects, 0, n * sizeof *e->corrects);
}

/* A mean over nothing is no number. */
static double mean_loss(rw_engine *e, double counted)
{
    double sum = rw_gradient_sum_scalar(e->sum, e->losses);
    return counted > 0 ? sum / counted : NAN;
}

/* What the block's backward reads. Without the last segment, the exchange before that ends
 * here. */
static void forward_again(const rw_pass *w, int begin, int end)
{
    for (int s = begin; s < end; s++)
        if (w->e->plan->segments[s].again) forward_segment(w, s);
    for (int g = 0; g < rw_pass_groups(w); g++) rw_carry_exchange_finish(w, g);
}

static void backward_micro(const rw_pass *w, bool last)
{
    const rw_plan *p = w->e->plan;
    for (int s = p->segment_count - 1; s >= 0; s--) {
        const rw_segment *segment = &p->segments[s];
        bool again = s == segment->end - 1 && segment->recompute == RW_RECOMPUTE_BLOCK;
        if (again) forward_again(w, segment->begin, segment->end);
        backward_segment(w, s);
        if (last) start_sum(w->e, s);
    }
    while (rw_gradient_sum_under_way(w->e->sum)) take_sum(w->e);
}

void rw_engine_let_stop(rw_engine *e, bool (*stop)(void *state), void *state)
{
    e->stop = stop;
    e->stop_state = state;
}

bool rw_engine_train(rw_engine *e, const rw_batch *batch, uint64_t seed, uint64_t step,
                     rw_loss *out)
{
    const rw_plan *p = e->plan;
    rw_pass w = {.e = e, .batch = batch, .seed = seed, .step = step, .training = true};
    out->counted = count_targets(e, batch);
    w.loss_scale = (real)(1 / (out->counted > 0 ? out->counted : 1));
    memset(e->model->gradient, 0, rw_graph_weights(p->graph) * sizeof(real));
    clear_losses(e);
    rw_gradient_sum_reset(e->sum);
    prepare(e);
    for (int m = 0; m < p->options.accumulate; m++) {
        if (m > 0 && e->stop && e->stop(e->stop_state)) return false;
        w.part = rw_split(batch->sequences, p->options.accumulate, m);
        rw_pass_find_cuts(&w);
        rw_global_find_documents(&w);
        for (int s = 0; s < p->segment_count; s++)
            if (!rw_turns_round(p, s)) forward_segment(&w, s);
        backward_micro(&w, m == p->options.accumulate - 1);
    }
    out->loss = mean_loss(e, out->counted);
    out->correct = 0;
    return true;
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
    clear_losses(e);
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
