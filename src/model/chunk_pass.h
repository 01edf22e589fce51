/* Inside the engine: its memory, a step under way, and what is done to one
 * chunk of one sequence. For engine.c, chunk_pass.c and ordered_run.c. */
#ifndef RW_CHUNK_PASS_H
#define RW_CHUNK_PASS_H

#include "model/engine.h"
#include "model/gradient_sum.h"
#include "mpi/pipeline.h"

struct rw_engine {
    rw_model *model;
    const rw_layout *layout;
    rw_plan *plan;
    rw_gradient_sum *sum;
    struct rw_carry_exchange *exchange;
    rw_pipeline *pipeline;
    const rw_engine *with;    /* whose memory may serve in place of the next three, or NULL */
    real *arena;              /* stored values, gradients, carries: offsets in the plan */
    real *scratch;            /* (threads, plan->scratch + plan->op_scratch) */
    real *derived;            /* what prepare made of the parameters */
    double *losses;           /* (local sequences, local chunks) */
    double *corrects;         /* same shape */
    real *discarded;          /* (threads, plan->largest_leaf): what replay throws away; or NULL */
    real *workspace;          /* of global ops */
    uint8_t *starts;          /* (sequences of a micro-batch, length): documents, for global ops */
    real *extended;           /* of global ops that see rows of the step before: copies; or NULL */
    uint8_t *extended_starts; /* and documents */
    uint8_t *cuts; /* (sequences of a micro-batch, local chunks): a document begins in it */

    bool (*stop)(void *state); /* is the step to be given up? NULL: never */
    void *stop_state;

    /* States on their way to the next step; NULL: each begins with nothing. */
    struct rw_step_carry *carry;
};

/* One step (or evaluation) under way. */
typedef struct {
    rw_engine *e;
    const rw_batch *batch;
    rw_range part; /* local sequences of this micro-batch */
    uint64_t seed, step;
    bool training;
    bool replays;        /* what the block makes is made again, in scratch */
    const bool *again;   /* so are these values; NULL: none (rw_plan_again) */
    bool discards;       /* gradients of parameters are thrown away */
    bool discards_input; /* and so is that of the block's input */
    real loss_scale;
    real *row_loss;
} rw_pass;

static inline long rw_local_chunks(const rw_plan *plan)
{
    return plan->chunks.end - plan->chunks.begin;
}

/* The micro-batch's groups of sequences, and the sequences [begin, end) of one. */
int rw_pass_groups(const rw_pass *pass);
rw_range rw_pass_group(const rw_pass *pass, int group);

/* Working memory of an op for the calling thread. */
real *rw_op_scratch(const rw_engine *engine);

/* Row 0 of a stored value or gradient in chunk (b, c), or of the thread's own. */
real *rw_pass_rows(const rw_pass *pass, const rw_place *place, long b, long c);

/* To be called by every thread after each piece of its work: the one that calls
 * MPI moves on the sums of gradients that are under way. */
void rw_pass_progress(const rw_pass *pass);

/* Notes in which chunks of the micro-batch documents begin. */
void rw_pass_find_cuts(const rw_pass *pass);

/* All of segment s on chunk c (absolute) of sequence b (of the micro-batch):
 * forward with the summary that closes it; backward, in reverse, with the
 * adjoint of the op that opens it; with what the segment's recomputation asks
 * for before it. Pure but for what the plan says is written;
 * called in parallel on different chunks. */
void rw_chunk_forward(const rw_pass *pass, const rw_segment *segment, long b, long c);
void rw_chunk_backward(const rw_pass *pass, const rw_segment *segment, real *leaf, long b, long c);

/* The arguments of node i, which has a sequence carry, for its recurrence over
 * chunk c of sequence b: summary (mirrored: adjoint). The state goes to the next
 * local chunk; where there is none to `end` (one state), or, behind the last chunk
 * of all, to the next step. */
void rw_chunk_ordered_call(const rw_pass *pass, int i, long b, long c, bool mirrored, real *end,
                           rw_call *call);

#endif
