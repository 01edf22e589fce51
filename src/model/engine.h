/* The engine runs a plan: training steps and evaluations of a model on a layout. rw_engine_new
 * allocates all memory; a step allocates nothing. */
#ifndef RW_ENGINE_H
#define RW_ENGINE_H

#include "data/batch.h"
#include "model/model.h"
#include "model/plan.h"

typedef struct rw_engine rw_engine;

/* Plans `model` on `layout` and allocates all memory. Borrows both. Not
 * collective, but every rank must call it with the same options; let the ranks
 * agree on the status before the first step. */
rw_status rw_engine_new(rw_model *model, const rw_layout *layout, const rw_plan_options *options,
                        rw_engine **out);
/* The same, but arena, scratch and derived data lie in the memory of `with`, an engine of the same
 * layout and model, if its memory is large enough. The two engines never work at the same time, and
 * `with` is destroyed last. with NULL: memory of its own. */
rw_status rw_engine_new_sharing(rw_model *model, const rw_layout *layout,
                                const rw_plan_options *options, rw_engine *with, rw_engine **out);
void rw_engine_destroy(rw_engine **engine);

/* The part of a batch that this rank computes: sequences, and tokens of each sequence. */
rw_range rw_engine_sequences(const rw_engine *engine);
rw_range rw_engine_rows(const rw_engine *engine);

typedef struct {
    double loss;    /* mean over the counted targets of the whole step, natural log */
    double counted; /* their number, over all ranks */
    double correct; /* counted targets that were predicted best (evaluation of token ids; else 0) */
} rw_loss;

/* Forward, loss and backward of one step: model->gradient receives the gradient of the mean loss,
 * on every rank the same bits. Collective over the layout. `step` and `seed` key the dropout.
 * False: the step was given up between two micro-batches (rw_engine_let_stop); weights and carried
 * states are unchanged, and the gradient is undefined. */
bool rw_engine_train(rw_engine *engine, const rw_batch *batch, uint64_t seed, uint64_t step,
                     rw_loss *out);

/* Before each micro-batch of a step but the first, the engine asks stop(state): shall the step be
 * given up? All ranks must get the same answer. `stop` may be collective. */
void rw_engine_let_stop(rw_engine *engine, bool (*stop)(void *state), void *state);

/* With the plan option `carry`: sequence b of the next step begins with the state at the end of
 * sequence b of the step just trained. No gradient goes back. The first step begins with zero
 * states. After a step to be dropped this function is not called: the states stay as they were
 * before the step. Without the option: does nothing. Collective over the layout. */
void rw_engine_carry_on(rw_engine *engine);

/* All carried states, owned by the engine; returns their number: 0 without `carry`. */
int rw_engine_carried(const rw_engine *engine, const rw_carried **out);

/* Loss only, from the zero state. row_loss (local sequences, local rows) may be NULL. Collective.
 */
void rw_engine_evaluate(rw_engine *engine, const rw_batch *batch, real *row_loss, rw_loss *out);

#endif
