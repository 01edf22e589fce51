/* The memory of the engine, and a pass: the work on one micro-batch of a training step or an
 * evaluation. Shared by the files of the engine; inside src/model.
 *
 * The files, callers before callees:
 *
 *   step.c             a step: prepare, passes over the segments, loss, sums of gradients
 *     chunk_pass.c       a segment on one chunk, forward or backward
 *       chunk_call.c       the arguments of an op on a chunk, or on a document part of a chunk
 *     carry_exchange.c   tree and shift carries between chunks
 *     ordered_run.c      ... sequence carries, in order
 *     global_run.c       ... global carries
 *       past_rows.c        ... with rows of earlier steps
 *     gradient_sum.c     gradients of chunks, on the chunk tree
 *     step_carry.c       states that go from step to step
 *   engine.c           allocates and frees all of them
 */
#ifndef RW_PASS_H
#define RW_PASS_H

#include "data/batch.h"
#include "model/gradient_sum.h"
#include "model/model.h"
#include "model/plan.h"
#include "mpi/pipeline.h"

typedef struct rw_engine rw_engine;

struct rw_engine {
    rw_model *model;
    const rw_layout *layout;
    rw_plan *plan;
    rw_gradient_sum *sum;
    struct rw_carry_exchange *exchange;
    rw_pipeline *pipeline;
    const rw_engine *with; /* the engine that may lend arena, scratch and derived; or NULL */
    real *arena;           /* stored values, gradients, carries: offsets in the plan */
    real *scratch;         /* (threads, plan->scratch + plan->op_scratch) */
    real *derived;         /* what prepare computed from the parameters */
    double *losses;        /* (local sequences, local chunks) */
    double *corrects;      /* same shape */
    real *discarded;       /* (threads, plan->largest_leaf): gradients that nobody reads; or NULL */
    real *workspace;       /* of global ops */
    uint8_t *starts;       /* (sequences of a micro-batch, length): documents, for global ops */
    real *extended;        /* of global ops with past rows: copies; or NULL */
    uint8_t *extended_starts; /* ... and documents */
    uint8_t *cuts;            /* (sequences of a micro-batch, local chunks) 1: a document begins */

    bool (*stop)(void *state); /* shall the step be given up? NULL: never */
    void *stop_state;

    struct rw_step_carry *carry; /* NULL: each step begins with zero states */
};

typedef struct {
    rw_engine *e;
    const rw_batch *batch;
    rw_range part; /* local sequences of this micro-batch */
    uint64_t seed, step;
    bool training;
    real loss_scale;
    real *row_loss;
} rw_pass;

static inline long rw_local_chunks(const rw_plan *plan)
{
    return plan->chunks.end - plan->chunks.begin;
}

/* Sequences of the micro-batch. */
static inline long rw_pass_sequences(const rw_pass *pass)
{
    return pass->part.end - pass->part.begin;
}

/* The sequence groups of the micro-batch, and the sequences [begin, end) of a group. */
int rw_pass_groups(const rw_pass *pass);
rw_range rw_pass_group(const rw_pass *pass, int group);

/* Number of chunk c (absolute) of sequence b among the local chunks of the micro-batch. */
size_t rw_pass_chunk(const rw_pass *pass, long b, long c);

/* Row 0 of a place in chunk (b, c): in the arena, or in the scratch of the calling thread. */
real *rw_pass_rows(const rw_pass *pass, const rw_place *place, long b, long c);

/* Working memory of an op for the calling thread. */
real *rw_op_scratch(const rw_engine *engine);

/* The document starts of chunk (b, c): (rows) 1: a document begins; NULL: no documents. */
const uint8_t *rw_pass_starts(const rw_pass *pass, long b, long c);

/* Writes engine->cuts for the micro-batch. */
void rw_pass_find_cuts(const rw_pass *pass);

#endif
