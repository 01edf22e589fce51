#include "measure/primitives.h"

#include <string.h>

#include "base/memory.h"
#include "mpi/butterfly.h"
#include "mpi/halo.h"
#include "mpi/slab_exchange.h"
#include "mpi/pipeline.h"
#include "mpi/ring.h"
#include "mpi/row_exchange.h"
#include "mpi/shards.h"
#include "mpi/shift.h"
#include "mpi/tree_reduce.h"
#include "mpi/tree_scan.h"

static long count(rw_range range)
{
    return range.end - range.begin;
}

static rw_status take_memory(rw_trial *t, size_t reals)
{
    RW_TRY(rw_alloc(reals, sizeof(real), "a primitive's data", &t->memory));
    memset(t->memory, 0,
           reals * sizeof(real)); /* pages of its own, also for memory that is only sent */
    return RW_OK;
}

static void close_memory(rw_trial *t)
{
    rw_free(&t->memory);
}

/* Reals of a payload for each local chunk. */
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

/* ---- Scan -------------------------------------------------------------------- */

/* h' = h / 2 + b: cheap, so that the exchange dominates. */
static void advance(const void *context, const real *transition, int level, bool transpose,
                    int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)transition, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) y[i] = x ? (real)0.5 * x[i] + b[i] : b[i];
}

static rw_affine affine_of(const rw_trial *t)
{
    return (rw_affine){.state = t->reals, .slices = (int)t->reals, .advance = advance};
}

static rw_status open_scan(rw_trial *t)
{
    rw_scan *scan = NULL;
    RW_TRY(take_memory(t, 2 * of_all_chunks(t)));
    RW_TRY(rw_scan_new(t->layout, 0, count(rw_trial_sequences(t)), t->chunks, 0, t->reals, false,
                       &scan));
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
    rw_scan_run(t->plan, &affine, count(rw_trial_sequences(t)), t->mirrored, NULL, NULL, NULL,
                t->memory, t->memory + of_all_chunks(t));
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

/* ---- Transform over ranks ----------------------------------------------------- */

/* The points of this rank, and of its partner: complex. */
static rw_status open_butterfly(rw_trial *t)
{
    return take_memory(t, 4 * t->reals);
}

static size_t predict_butterfly(const rw_trial *t)
{
    return (size_t)rw_butterfly_bytes(t->layout, t->reals);
}

/* A transform: the first split is of reals. None if P is no power of two. */
static void run_butterfly(rw_trial *t)
{
    for (int k = 0; k < rw_butterfly_splits(t->layout); k++)
        rw_butterfly_swap(t->layout, k, t->memory, t->memory + 2 * t->reals,
                          k == 0 ? t->reals : 2 * t->reals);
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
    rw_reduction_start(t->plan, t->reals, t->vector);
    rw_reduction_finish(t->plan);
}

static void close_reduction(rw_trial *t)
{
    rw_reduction *reduction = t->plan;
    rw_reduction_destroy(&reduction);
    rw_free(&t->vector);
    rw_free(&t->memory);
}

static rw_status open_shards(rw_trial *t)
{
    return take_memory(t, t->reals);
}

static size_t predict_shards(const rw_trial *t)
{
    return rw_shards_bytes(t->layout, t->reals);
}

static void run_shards(rw_trial *t)
{
    rw_shards_all_gather(t->layout, t->reals, t->memory);
}

/* ---- Exchanges of rows -------------------------------------------------------- */

/* Rows of a chunk: few, so that the payload dominates. */
enum { TOKENS = 4, SLABS = 4 };

/* The last chunk is short. */
static rw_span span_of(const rw_trial *t)
{
    rw_span span = {.layout = t->layout,
                    .sequences = count(rw_trial_sequences(t)),
                    .most = count(rw_trial_sequences(t)),
                    .length = t->chunks * TOKENS - 1,
                    .chunk = TOKENS};
    span.rows = rw_span_rows(&span, t->layout->sp_rank);
    span.stride = rw_span_count(&span);
    return span;
}

static size_t rows_of(const rw_span *span)
{
    return (size_t)(span->sequences * span->stride);
}

/* Of more rows than a chunk has: with a chunk a rank, from several ranks. */
enum { REACH = TOKENS + 2 };

static rw_halo halo_of(const rw_trial *t, const rw_span *span)
{
    return (rw_halo){.span = span,
                     .side = t->mirrored ? RW_HALO_AFTER : RW_HALO_BEFORE,
                     .reach = REACH,
                     .width = (int)t->reals};
}

/* The exchange's workspace, the rank's rows, the halo. */
static rw_status open_halo(rw_trial *t)
{
    rw_span span = span_of(t);
    rw_halo halo = halo_of(t, &span);
    size_t rows = rows_of(&span) + (size_t)span.sequences * REACH;
    return take_memory(t, rw_halo_workspace(&halo) + rows * t->reals);
}

static size_t predict_halo(const rw_trial *t)
{
    rw_span span = span_of(t);
    rw_halo halo = halo_of(t, &span);
    return (size_t)rw_halo_bytes(&halo, t->layout->sp_rank);
}

static void run_halo(rw_trial *t)
{
    rw_span span = span_of(t);
    rw_halo halo = halo_of(t, &span);
    real *rows = t->memory + rw_halo_workspace(&halo), *out = rows + rows_of(&span) * t->reals;
    rw_halo_start(&halo, rows, (int)t->reals, t->memory);
    rw_halo_finish(&halo, out, t->memory);
}

/* Rows of SLABS slabs, the rank's whole slabs, the buffer. */
static rw_status open_slabs(rw_trial *t)
{
    rw_span span = span_of(t);
    int width = (int)t->reals;
    return take_memory(t, rows_of(&span) * SLABS * t->reals + rw_slabs_reals(&span, SLABS, width) +
                              rw_slabs_buffer(&span, SLABS, width));
}

static size_t predict_slabs(const rw_trial *t)
{
    rw_span span = span_of(t);
    int width = (int)t->reals;
    return (size_t)(t->mirrored ? rw_slabs_scatter_bytes(&span, SLABS, width)
                                : rw_slabs_gather_bytes(&span, SLABS, width));
}

static void run_slabs(rw_trial *t)
{
    rw_span span = span_of(t);
    int width = (int)t->reals, ld = SLABS * width;
    real *rows = t->memory, *whole = rows + rows_of(&span) * (size_t)ld;
    real *buffer = whole + rw_slabs_reals(&span, SLABS, width);
    if (t->mirrored)
        rw_slabs_scatter(&span, SLABS, width, whole, rows, ld, false, buffer);
    else
        rw_slabs_gather(&span, SLABS, width, rows, ld, whole, buffer);
}

/* Each rank needs the rows of all ranks before it (mirrored: after it). */
static rw_ring ring_of(const rw_trial *t)
{
    const rw_range *ranges = t->plan;
    return (rw_ring){.layout = t->layout,
                     .rows = ranges,
                     .need = ranges + t->layout->sp,
                     .width = t->reals,
                     .upward = !t->mirrored};
}

static long longest_block(const rw_trial *t)
{
    return (t->chunks / t->layout->sp + 1) * TOKENS;
}

static rw_status open_ring(rw_trial *t)
{
    rw_span span = span_of(t);
    int sp = t->layout->sp;
    rw_range *ranges;
    RW_TRY(rw_alloc(2 * (size_t)sp, sizeof *ranges, "a primitive's data", &ranges));
    t->plan = ranges;
    for (int q = 0; q < sp; q++) {
        ranges[q] = ranges[sp + q] = rw_span_rows(&span, q);
        if (t->mirrored)
            ranges[sp + q].end = span.length;
        else
            ranges[sp + q].begin = 0;
    }
    return take_memory(t, 2 * (size_t)longest_block(t) * t->reals);
}

static size_t predict_ring(const rw_trial *t)
{
    rw_ring ring = ring_of(t);
    return (size_t)(span_of(t).sequences * rw_ring_volume(&ring, t->layout->sp_rank)) *
           sizeof(real);
}

static void pass_by(void *context, rw_range rows, const real *block)
{
    (void)context, (void)rows, (void)block;
}

static void run_ring(rw_trial *t)
{
    rw_ring ring = ring_of(t);
    real *block[2] = {t->memory, t->memory + (size_t)longest_block(t) * t->reals};
    for (long b = 0; b < span_of(t).sequences; b++) rw_ring_run(&ring, block, pass_by, NULL);
}

/* Every row changes places with its mirror image in the sequence. */
static rw_status open_rows(rw_trial *t)
{
    rw_span span = span_of(t);
    size_t rows = rows_of(&span);
    int64_t *keys = NULL;
    RW_TRY(rw_alloc(rows, sizeof *keys, "a primitive's data", &keys));
    t->plan = keys;
    for (size_t i = 0; i < rows; i++)
        keys[i] = span.length - 1 - (span.rows.begin + (long)(i % (size_t)span.stride));
    return take_memory(t, 2 * rows * t->reals + rw_rows_buffer(&span, (int)t->reals));
}

static size_t predict_rows(const rw_trial *t)
{
    rw_span span = span_of(t);
    return (size_t)rw_rows_bytes(&span, (int)t->reals, t->plan);
}

static void run_rows(rw_trial *t)
{
    rw_span span = span_of(t);
    int width = (int)t->reals;
    real *to = t->memory + rows_of(&span) * t->reals, *buffer = to + rows_of(&span) * t->reals;
    rw_rows_exchange(&span, width, t->plan, t->memory, width, to, width, false, buffer);
}

static void close_plan(rw_trial *t)
{
    rw_free(&t->plan);
    rw_free(&t->memory);
}

const rw_primitive rw_primitives[] = {
    {"shift", "state", true, open_shift, predict_shift, run_shift, close_memory},
    {"tree scan", "state", true, open_scan, predict_scan, run_scan, close_scan},
    {"pipeline", "state", true, open_pipeline, predict_pipeline, run_pipeline, close_pipeline},
    {"halo", "row", true, open_halo, predict_halo, run_halo, close_memory},
    {"ring", "row", true, open_ring, predict_ring, run_ring, close_plan},
    {"slab exchange", "slab", true, open_slabs, predict_slabs, run_slabs, close_memory},
    {"row exchange", "row", false, open_rows, predict_rows, run_rows, close_plan},
    {"butterfly", "vector", false, open_butterfly, predict_butterfly, run_butterfly, close_memory},
    {"tree sum", "vector", false, open_reduction, predict_reduction, run_reduction,
     close_reduction},
    {"gather of shards", "vector", false, open_shards, predict_shards, run_shards, close_memory},
    {0},
};
