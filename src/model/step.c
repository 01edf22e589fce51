/* A step: forward and backward of all micro-batches, and an evaluation. Declared in
 * model/engine.h. Example: a segment s, closed by op k with a tree carry, two sequence groups on
 * two ranks:
 *
 *   forward_segment(s)
 *     run_group(s, 0)                      threads: chunks of group 0
 *     start_exchange(k, group 0)
 *     run_group(s, 1)                      ... while the states of group 0 travel
 *     start_exchange(k, group 1)
 *   forward_segment(s + 1)
 *     run_group(s + 1, 0)                  first waits for the states of group 0
 *     ...
 *   backward_segment(s + 1), then s        the same, mirrored
 *     start_sum(s + 1)                     begins to add the gradient of segment s + 1 over ranks
 *     take_sum                             finishes the sum, beside later segments
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "model/carry_exchange.h"
#include "model/chunk_pass.h"
#include "model/engine.h"
#include "model/global_run.h"
#include "model/ordered_run.h"
#include "model/progress.h"

/* The work on chunk c of sequence b. */
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

/* The share of the thread that calls MPI. The late chunk, which needs the result of the exchange,
 * is computed after all others. Forward, the late chunk is the first of the share and goes last.
 * Backward, it is the last of the share already, and leaves keep their order. */
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

/* Sequence and global carries are run when the chunks of the last group are there. */
static void start_exchange(const rw_pass *w, int i, bool mirrored, int group)
{
    const rw_op *op = w->e->plan->nodes[i].op;
    const bool last = group == rw_pass_groups(w) - 1;
    if (!rw_runs_in_exchange(op))
        rw_carry_exchange_start(w, i, mirrored, group);
    else if (last && op->sequence)
        rw_ordered_run(w, i, mirrored);
    else if (last)
        rw_global_run(w, i, mirrored);
}

static void forward_segment(const rw_pass *w, int s)
{
    int closes = w->e->plan->segments[s].closes;
    for (int g = 0; g < rw_pass_groups(w); g++) {
        run_group(w, s, g, false);
        if (closes >= 0) start_exchange(w, closes, false, g);
    }
}

static void backward_segment(const rw_pass *w, int s)
{
    const rw_segment *segment = &w->e->plan->segments[s];
    for (int g = 0; g < rw_pass_groups(w); g++) {
        run_group(w, s, g, true);
        rw_gradient_sum_collect(w->e->sum, s);
        if (segment->opens) start_exchange(w, segment->first, true, g);
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
            rw_range slices =
                rw_split(node->size.slices, omp_get_num_threads(), omp_get_thread_num());
            if (slices.end > slices.begin)
                node->op->prepare(node, (const real *const *)param,
                                  e->derived + p->places[i].derived, (int)slices.begin,
                                  (int)slices.end, rw_op_scratch(e));
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
        rw_range slices = rw_split(node->size.slices, omp_get_num_threads(), omp_get_thread_num());
        if (slices.end > slices.begin)
            node->op->prepare_backward(node, (const real *const *)param,
                                       e->derived + p->places[i].derived, dderived, dparam,
                                       (int)slices.begin, (int)slices.end, rw_op_scratch(e));
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

/* Finishes the oldest sum over ranks. The order is always the order of the backward pass: a
 * parameter with uses in several segments gets its terms in the same order on every layout. */
static void take_sum(rw_engine *e)
{
    int s;
    const real *total = rw_gradient_sum_finish(e->sum, &s);
    const rw_segment *segment = &e->plan->segments[s];
    if (segment->closes >= 0) spread(e, segment->closes, total);
    for (int i = segment->last - 1; i >= segment->first; i--)
        if (!rw_opens(segment, i)) spread(e, i, total);
}

/* Begins the sum of a segment's gradient over ranks. The backward pass of earlier segments goes on
 * meanwhile. */
static void start_sum(rw_engine *e, int s)
{
    if (!e->plan->segments[s].leaf) return;
    if (rw_gradient_sum_in_flight(e->sum) == rw_gradient_sum_most(e->sum)) take_sum(e);
    rw_gradient_sum_start(e->sum, s);
}

/* ---- Steps -------------------------------------------------------------------- */

static double count_targets(const rw_engine *e, const rw_batch *batch)
{
    long counted = batch->counted;
    /* The ranks of an sp_comm hold different tokens: every rank counts its own. */
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

/* Recomputes the values for the backward pass of the block. If the last segment is skipped, the
 * exchange before it ends here. */
static void recompute_segments(const rw_pass *w, int begin, int end)
{
    for (int s = begin; s < end; s++)
        if (w->e->plan->segments[s].recomputed) forward_segment(w, s);
    for (int g = 0; g < rw_pass_groups(w); g++) rw_carry_exchange_finish(w, g);
}

static void backward_micro(const rw_pass *w, bool last)
{
    const rw_plan *p = w->e->plan;
    for (int s = p->segment_count - 1; s >= 0; s--) {
        const rw_segment *segment = &p->segments[s];
        bool again = s == segment->end - 1 && segment->recompute == RW_RECOMPUTE_BLOCK;
        if (again) recompute_segments(w, segment->begin, segment->end);
        backward_segment(w, s);
        if (last) start_sum(w->e, s);
    }
    while (rw_gradient_sum_in_flight(w->e->sum)) take_sum(w->e);
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
            if (!rw_runs_in_backward(p, s)) forward_segment(&w, s);
        backward_micro(&w, m == p->options.accumulate - 1);
    }
    out->loss = mean_loss(e, out->counted);
    out->correct = 0;
    return true;
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
