/* Evaluation on the held-out split. */
#ifndef RW_EVALUATION_H
#define RW_EVALUATION_H

#include "data_pipeline/loader.h"
#include "model/engine.h"

typedef struct rw_evaluation rw_evaluation;

/* Loss by position in the sequence: bucket k holds positions [2^k - 1, 2^(k+1) - 1). */
#define RW_POSITION_BUCKETS 40
typedef struct {
    double loss[RW_POSITION_BUCKETS], counted[RW_POSITION_BUCKETS]; /* sum, number */
} rw_by_position;

/* Plans an evaluation with these sizes (training = false). Borrows all arguments. Shares the memory
 * of engine `with` (NULL: none), see rw_engine_new_sharing. Not collective; let the ranks agree on
 * the status. */
rw_status rw_evaluation_new(rw_model *model, const rw_layout *layout, rw_source *source,
                            const rw_plan_options *options, rw_engine *with, rw_evaluation **out);
void rw_evaluation_destroy(rw_evaluation **evaluation);

/* Mean loss over the first `batches` batches of the split; 0: over the whole split (8 batches of a
 * generated task). NaN without a target: out->counted is 0. `positions` may be NULL. Collective. */
rw_status rw_evaluation_run(rw_evaluation *evaluation, uint64_t batches, rw_by_position *positions,
                            rw_loss *out);

#endif
