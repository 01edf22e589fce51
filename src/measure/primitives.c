#include "measure/primitives.h"

#include <string.h>

#include "base/memory.h"
#include "mpi/pipeline.h"
#include "mpi/shift.h"
#include "mpi/tree_reduce.h"
#include "mpi/tree_scan.h"

static long count(rw_range range)
{
    return range.end - range.begin;
}

static rw_status take_memory(rw_trial *t, size_t reals)
{
    return rw_alloc(reals, sizeof(real), "a primitive's data", &t->memory);
}

/* Reals of one payload a local chunk. */
static size_t of_all_chunks(const rw_trial *t)
{
    return (size_t)(count(rw_trial_sequences(t)) * count(rw_trial_chunks(t))) * t->reals;
}

/* ---- Shift ------------------------------------------------------------------- */

static rw_status open_shift(rw_trial *t)
{
    return take_memory(t,
                       2 * of_all_chunks(t) + 2 * (size_t)count(rw_trial_sequences(t)) * t->reals);
}

static size_t predict_shift(const rw_trial *t)
{
    return rw_shift_bytes(t->layout, count(rw_trial_sequences(t)), t->reals, t->mirrored);
}

static void run_shift(rw_trial *t)
{
    real *out = t->memory + of_all_chunks(t), *buffer = out + of_all_chunks(t);
    rw_shift_run(t->layout, count(rw_trial_sequences(t)), count(rw_trial_chunks(t)), t->reals,
                 t->mirrored, t->memory, out, buffer);
}

static void close_shift(rw_trial *t)
{
    rw_free(&t->memory);
}

/* ---- Scan -------------------------------------------------------------------- */

/* h' = h / 2 + b: cheap, so that the exchange is what is measured. */
static void advance(const void *context, const real *map, int level, bool transpose, int begin,
                    int end, const real *x, const real *b, real *y)
{
    (void)context, (void)map, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) y[i] = x ? (real)0.5 * x[i] + b[i] : b[i];
}

static rw_affine affine_of(const rw_trial *t)
{
    return (rw_affine){.state = t->reals, .lanes = (int)t->reals, .advance = advance};
}

static rw_status open_scan(rw_trial *t)
{
    rw_scan *scan = NULL;
    RW_TRY(take_memory(t, 2 * of_all_chunks(t)));
    RW_TRY(rw_scan_new(t->layout, count(rw_trial_sequences(t)), t->chunks, 0, t->reals, &scan));
    t->plan = scan;
    return RW_OK;
}

static size_t predict_scan(const rw_trial *t)
{
    rw_affine affine = affine_of(t);
    return rw_scan_bytes(t->plan, &affine, count(rw_trial_sequences(t)), t->mirrored);
}

static void run_scan(rw_trial *t)
{
    rw_affine affine = affine_of(t);
    rw_scan_run(t->plan, &affine, count(rw_trial_sequences(t)), t->mirrored, NULL, NULL, t->memory,
                t->memory + of_all_chunks(t));
}

static void close_scan(rw_trial *t)
{
    rw_scan *scan = t->plan;
    rw_scan_destroy(&scan);
    rw_free(&t->memory);
}

/* ---- Pipeline ---------------------------------------------------------------- */

static rw_status open_pipeline(rw_trial *t)
{
    rw_pipeline *pipeline = NULL;
    RW_TRY(rw_pipeline_new(t->layout, count(rw_trial_sequences(t)), t->reals, &pipeline));
    t->plan = pipeline;
    return RW_OK;
}

static size_t predict_pipeline(const rw_trial *t)
{
    return rw_pipeline_bytes(t->plan, count(rw_trial_sequences(t)), t->reals, t->mirrored);
}

static void hand_on(void *context, rw_range wave, const real *in, real *out)
{
    const rw_trial *t = context;
    size_t bytes = (size_t)count(wave) * t->reals * sizeof(real);
    if (in) memcpy(out, in, bytes);
}

static void run_pipeline(rw_trial *t)
{
    rw_pipeline_run(t->plan, count(rw_trial_sequences(t)), t->reals, t->mirrored, 1, hand_on, t);
}

static void close_pipeline(rw_trial *t)
{
    rw_pipeline *pipeline = t->plan;
    rw_pipeline_destroy(&pipeline);
}

/* ---- Sums over all ranks ------------------------------------------------------ */

static rw_status open_reduction(rw_trial *t)
{
    rw_reduction *reduction = NULL;
    rw_tree tree = rw_tree_of(t->sequences, t->chunks);
    RW_TRY(rw_reduction_new(t->layout, &tree, t->reals, &reduction));
    t->plan = reduction;
    size_t nodes = (size_t)rw_reduction_nodes(reduction);
    RW_TRY(rw_alloc(nodes, sizeof *t->vector, "a primitive's data", &t->vector));
    RW_TRY(take_memory(t, nodes * t->reals));
    for (size_t i = 0; i < nodes; i++) t->vector[i] = t->memory + i * t->reals;
    return RW_OK;
}

static size_t predict_reduction(const rw_trial *t)
{
    return rw_reduction_bytes(t->plan, t->reals);
}

static void run_reduction(rw_trial *t)
{
    rw_reduction_run(t->plan, t->reals, t->vector, t->vector[0]);
}

static void close_reduction(rw_trial *t)
{
    rw_reduction *reduction = t->plan;
    rw_reduction_destroy(&reduction);
    rw_free(&t->vector);
    rw_free(&t->memory);
}

const rw_primitive rw_primitives[] = {
    {"shift", "state", true, open_shift, predict_shift, run_shift, close_shift},
    {"tree scan", "state", true, open_scan, predict_scan, run_scan, close_scan},
    {"pipeline", "state", true, open_pipeline, predict_pipeline, run_pipeline, close_pipeline},
    {"tree sum", "vector", false, open_reduction, predict_reduction, run_reduction,
     close_reduction},
    {0},
};
