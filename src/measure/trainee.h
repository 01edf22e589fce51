/* A model in training, with generated data, for measurements of whole steps. */
#ifndef RW_TRAINEE_H
#define RW_TRAINEE_H

#include "model/engine.h"
#include "optim/update.h"

typedef struct {
    const rw_layout *layout;
    rw_config *config, *optimizer;
    rw_model *model;
    rw_engine *engine;
    rw_updater *updater; /* NULL: weights stay as they are */
    rw_batch batch;
    double memory; /* bytes of the engine of this rank: values, gradients, sums */
} rw_trainee;

/* `blocks`: the part "model" of a configuration without braces and chunk, such as "width: 64,
 * blocks: [{mixer: ssd}]"; the data are bytes. updates: AdamW follows each step. Not collective,
 * but every rank must make the same call; close it, also after an error. */
rw_status rw_trainee_open(const rw_layout *layout, const char *blocks,
                          const rw_plan_options *options, bool updates, rw_trainee *out);
void rw_trainee_close(rw_trainee *trainee);

/* A training step: forward, backward, sums over ranks, update. An evaluation.
 * Seconds of the slowest rank, all having started together. Collective. */
double rw_trainee_step(rw_trainee *trainee, uint64_t step);
double rw_trainee_evaluate(rw_trainee *trainee);

/* The number of sequences of `length` with at least `tokens` tokens a step, the same for each of
 * `dp` ranks. */
long rw_trainee_batch(long length, long tokens, int dp);
/* The usual chunk, or a shorter chunk if `sp` ranks would not get one each. */
int rw_trainee_chunk(long length, int sp);

#endif
