/* The engine runs a plan: training steps and evaluations of a model on a
 * layout. Everything is allocated when it is made; a step allocates nothing. */
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
/* The same, with the memory of another engine of this layout and model for the values
 * of a step and what is derived of the weights, where it is large enough: they are never at work at
 * once, and `with` is destroyed last. with NULL: memory of its own. */
rw_status rw_engine_new_sharing(rw_model *model, const rw_layout *layout,
                                const rw_plan_options *options, rw_engine *with, rw_engine **out);
void rw_engine_destroy(rw_engine **engine);

/* This rank's part of a batch: sequences, and tokens of each. */
rw_range rw_engine_sequences(const rw_engine *engine);
rw_range rw_engine_rows(const rw_engine *engine);

typedef struct {
    double loss;    /* mean over the counted targets of the whole step, natural log */
    double counted; /* their number, over all ranks */
    double correct; /* of these, predicted best (evaluation of token ids; else 0) */
} rw_loss;

/* Forward, loss and backward of one step: model->gradient receives the gradient
 * of the mean loss, on every rank the same bits. Collective over the layout.
 * `step` and `seed` key the dropout. False: the step was given up between two micro-batches
 * (rw_engine_let_stop); weights and carried states are as before it, the gradient is nothing. */
bool rw_engine_train(rw_engine *engine, const rw_batch *batch, uint64_t seed, uint64_t step,
                     rw_loss *out);

/* Lets `stop(state)` be asked before each micro-batch but a step's first whether the step is to be
 * given up. It must give all ranks the same answer; it may be collective. */
void rw_engine_let_stop(rw_engine *engine, bool (*stop)(void *state), void *state);

/* With the plan option `carry`: the next step begins with the states in which the
 * sequences of this one, just trained, ended; sequence b with those of sequence b.
 * (No gradient goes back.) At first they are zero. Where it is not called, after
 * a step to be dropped, the states remain as they were before it. Otherwise does
 * nothing. Collective over the layout. */
void rw_engine_carry_on(rw_engine *engine);

/* All of them, owned by the engine; returns their number: 0 without `carry`. */
int rw_engine_carried(const rw_engine *engine, const rw_carried **out);

/* Loss only, from the zero state. row_loss (local sequences, local rows) may be NULL. Collective.
 */
void rw_engine_evaluate(rw_engine *engine, const rw_batch *batch, real *row_loss, rw_loss *out);

#endif
