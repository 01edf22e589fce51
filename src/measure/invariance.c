#include "measure/invariance.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "measure/roofline.h"
#include "measure/rounds.h"
#include "measure/scan_cost.h"
#include "measure/trainee.h"
#include "model/gradient_sum.h"

/* All-reduces that may be in flight at once: as many as sums on the tree. */
enum { STEP_TOKENS = 4096, FLIGHTS = RW_REDUCTIONS };

typedef struct {
    const rw_layout *layout;
    rw_plan *plan;
    rw_gradient_sum *sum;
    rw_scan_cost *scans;
    size_t part;          /* reals that the backward pass of a segment reads on a chunk */
    real *values, *sinks; /* the same for all chunks; sums over them, a cache line a thread */
    real *plain;          /* (FLIGHTS, threads, largest leaf) */
    MPI_Request request[FLIGHTS];
    long sums; /* all-reduces in flight */
} rig;

/* ---- Setting up ---------------------------------------------------------------- */

static long local_chunks(const rw_plan *p)
{
    return p->chunks.end - p->chunks.begin;
}

static long local_sequences(const rw_plan *p)
{
    return p->sequences.end - p->sequences.begin;
}

static rw_status open_rig(const rw_layout *layout, const rw_model *model,
                          const rw_plan_options *options, rig *r)
{
    *r = (rig){.layout = layout};
    for (int i = 0; i < FLIGHTS; i++) r->request[i] = MPI_REQUEST_NULL;
    RW_TRY(rw_plan_new(model->graph, layout, options, &r->plan));
    RW_TRY(rw_gradient_sum_new(r->plan, layout, &r->sum));
    RW_TRY(rw_scan_cost_new(model, r->plan, layout->threads, &r->scans));
    size_t threads = (size_t)layout->threads;
    long passes = local_sequences(r->plan) * local_chunks(r->plan) * r->plan->segment_count;
    r->part = r->plan->arena / (size_t)passes;
    RW_TRY(rw_alloc(r->plan->arena, sizeof(real), "memory to read", &r->values));
    memset(r->values, 0, r->plan->arena * sizeof(real)); /* so that memory to read exists */
    RW_TRY(rw_alloc(16 * threads, sizeof(real), "sums", &r->sinks));
    return rw_alloc(FLIGHTS * threads * r->plan->largest_leaf, sizeof(real), "gradients",
                    &r->plain);
}

static void close_rig(rig *r)
{
    rw_scan_cost_destroy(&r->scans);
    rw_gradient_sum_destroy(&r->sum);
    rw_plan_destroy(&r->plan);
    rw_free(&r->values);
    rw_free(&r->sinks);
    rw_free(&r->plain);
}

/* ---- What both do ---------------------------------------------------------------- */

/* Takes the place of the backward pass of segment s on the i-th local chunk: reads as much memory,
 * and adds to the whole gradient. */
static void stand_in(const rig *r, int s, long i, real *gradient)
{
    long chunks = local_sequences(r->plan) * local_chunks(r->plan);
    const real *values = r->values + (size_t)(s * chunks + i) * r->part;
    real *sink = r->sinks + 16 * (size_t)omp_get_thread_num();
    for (size_t k = 0; k + 16 <= r->part; k += 16)
        for (int j = 0; j < 16; j++) sink[j] += values[k + (size_t)j];
    for (size_t k = 0; k < r->plan->segments[s].leaf; k++) gradient[k] += (real)1;
}

/* ---- The tree ------------------------------------------------------------------------ */

static void push_chunks(const rig *r, int s, rw_range group)
{
    const rw_plan *p = r->plan;
    long local = local_chunks(p), all = (group.end - group.begin) * local;
    size_t leaf_reals = p->segments[s].leaf;
#pragma omp parallel num_threads(r->layout->threads)
    {
        int thread = omp_get_thread_num();
        rw_range mine = rw_split(all, omp_get_num_threads(), thread);
        for (long i = mine.begin; i < mine.end; i++) {
            long b = group.begin + i / local, c = i % local;
            real *leaf = rw_gradient_sum_leaf(r->sum, thread, leaf_reals);
            stand_in(r, s, b * local + c, leaf);
            long number = rw_tree_leaf(&p->tree, p->sequences.begin + b, p->chunks.begin + c);
            rw_gradient_sum_push(r->sum, thread, number, leaf_reals);
            if (thread == 0) rw_gradient_sum_progress(r->sum);
        }
    }
}

static void sum_on_tree(rig *r)
{
    const rw_plan *p = r->plan;
    int groups = rw_plan_groups(r->layout, local_sequences(p)), finished;
    rw_gradient_sum_reset(r->sum);
    for (int s = p->segment_count - 1; s >= 0; s--) {
        if (!p->segments[s].leaf) continue;
        for (int g = 0; g < groups; g++) {
            push_chunks(r, s, rw_split(local_sequences(p), groups, g));
            rw_gradient_sum_collect(r->sum, s);
        }
        if (rw_gradient_sum_in_flight(r->sum) == rw_gradient_sum_most(r->sum))
            rw_gradient_sum_finish(r->sum, &finished);
        rw_gradient_sum_start(r->sum, s);
    }
    while (rw_gradient_sum_in_flight(r->sum)) rw_gradient_sum_finish(r->sum, &finished);
}

/* ---- All-reduce ---------------------------------------------------------------------- */

static real *accumulator(const rig *r, int flight, int thread)
{
    size_t place = (size_t)(flight * r->layout->threads + thread);
    return r->plain + place * r->plan->largest_leaf;
}

static void add_chunks(rig *r, int s, int flight)
{
    const rw_plan *p = r->plan;
    long all = local_sequences(p) * local_chunks(p);
#pragma omp parallel num_threads(r->layout->threads)
    {
        int thread = omp_get_thread_num(), done;
        rw_range mine = rw_split(all, omp_get_num_threads(), thread);
        real *own = accumulator(r, flight, thread);
        memset(own, 0, p->segments[s].leaf * sizeof(real));
        for (long i = mine.begin; i < mine.end; i++) {
            stand_in(r, s, i, own);
            if (thread == 0) MPI_Testall(FLIGHTS, r->request, &done, MPI_STATUSES_IGNORE);
        }
    }
}

static void add_threads(const rig *r, int s, int flight)
{
    long n = (long)r->plan->segments[s].leaf;
    real *sum = accumulator(r, flight, 0);
    for (int t = 1; t < r->layout->threads; t++) {
        const real *other = accumulator(r, flight, t);
#pragma omp parallel for num_threads(r->layout->threads) schedule(static)
        for (long i = 0; i < n; i++) sum[i] += other[i];
    }
}

static void sum_plainly(rig *r)
{
    const rw_plan *p = r->plan;
    for (int s = p->segment_count - 1; s >= 0; s--) {
        if (!p->segments[s].leaf) continue;
        int flight = (int)(r->sums++ % FLIGHTS);
        MPI_Wait(&r->request[flight], MPI_STATUS_IGNORE);
        add_chunks(r, s, flight);
        add_threads(r, s, flight);
        if (r->layout->size > 1)
            MPI_Iallreduce(MPI_IN_PLACE, accumulator(r, flight, 0), (int)p->segments[s].leaf,
                           RW_MPI_REAL, MPI_SUM, r->layout->world, &r->request[flight]);
    }
    MPI_Waitall(FLIGHTS, r->request, MPI_STATUSES_IGNORE);
}

/* ---- Measuring ----------------------------------------------------------------------- */

static double timed(rig *r, void (*run)(rig *))
{
    MPI_Barrier(r->layout->world);
    double start = rw_seconds();
    run(r);
    return rw_over_ranks(r->layout, rw_seconds() - start, MPI_MAX);
}

static void scan_tree(rig *r)
{
    rw_scan_cost_tree(r->scans);
}

static void scan_plainly(rig *r)
{
    rw_scan_cost_pass(r->scans);
}

/* The sums on the tree and the plain sums, in turn. */
typedef struct {
    void (*tree)(rig *), (*plain)(rig *);
    rw_rounds tree_seconds, plain_seconds, share;
} comparison;

static void compare(comparison *c, rig *r, double step, bool counts)
{
    double tree = timed(r, c->tree), plain = timed(r, c->plain);
    if (!counts) return;
    rw_rounds_add(&c->tree_seconds, tree);
    rw_rounds_add(&c->plain_seconds, plain);
    rw_rounds_add(&c->share, (tree - plain) / step);
}

static void run_rounds(rw_trainee *t, rig *r, int rounds, rw_invariance_figures *out)
{
    rw_rounds step = {.count = 0};
    comparison sums = {.tree = sum_on_tree, .plain = sum_plainly};
    comparison scans = {.tree = scan_tree, .plain = scan_plainly};
    for (int i = 0; i <= rounds; i++) {
        double seconds = rw_trainee_step(t, (uint64_t)i);
        if (i > 0) rw_rounds_add(&step, seconds); /* the first warms up */
        compare(&sums, r, seconds, i > 0);
        compare(&scans, r, seconds, i > 0);
    }
    out->step = rw_rounds_median(&step);
    out->sums_tree = rw_rounds_median(&sums.tree_seconds);
    out->sums_plain = rw_rounds_median(&sums.plain_seconds);
    out->sums_share = rw_rounds_median(&sums.share);
    out->scans_tree = rw_rounds_median(&scans.tree_seconds);
    out->scans_plain = rw_rounds_median(&scans.plain_seconds);
    out->scans_share = rw_rounds_median(&scans.share);
    out->rounds = rounds;
}

rw_status rw_invariance_run(const rw_layout *layout, const rw_step_model *model, long length,
                            int rounds, rw_invariance_figures *out)
{
    rw_trainee t;
    rig r = {.sums = 0};
    *out = (rw_invariance_figures){.length = length};
    out->batch = rw_trainee_batch(length, STEP_TOKENS, layout->dp);
    rw_plan_options options = {.length = length,
                               .batch = out->batch,
                               .chunk = rw_trainee_chunk(length, layout->sp),
                               .accumulate = 1,
                               .training = true};
    rw_status status = rw_trainee_open(layout, model->blocks, &options, true, &t);
    if (status == RW_OK) status = open_rig(layout, t.model, &options, &r);
    status = rw_agree(layout, status);
    if (status == RW_OK) run_rounds(&t, &r, rounds, out);
    close_rig(&r);
    rw_trainee_close(&t);
    if (status != RW_USAGE) return status;
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, rw_message());
    rw_clear_message();
    return RW_OK;
}
