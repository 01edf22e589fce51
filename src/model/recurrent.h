/* A model, token by token. The states of recurrences have a constant size. Attention and free-form
 * filters keep the rows of up to `horizon` tokens. */
#ifndef RW_RECURRENT_H
#define RW_RECURRENT_H

#include "model/model.h"

typedef struct rw_recurrent rw_recurrent;

/* Prepares the model (borrowed, not changed) and a zero state, for at most `horizon` tokens after a
 * reset. Not collective. Errors: RW_USAGE for a model that reads later tokens. */
rw_status rw_recurrent_new(const rw_model *model, long horizon, rw_recurrent **out);
void rw_recurrent_destroy(rw_recurrent **recurrent);

/* Feeds a token (or its features, if the data is real) and writes the scores of the head: logits
 * (vocabulary), or predictions (features). */
void rw_recurrent_step(rw_recurrent *recurrent, int32_t token, const real *features, real *scores);
/* Marks the present state: rw_recurrent_reset returns to the mark. Several continuations of a
 * prompt read the prompt once. */
rw_status rw_recurrent_mark(rw_recurrent *recurrent);
/* Returns to the mark, or to the state before the first token. */
void rw_recurrent_reset(rw_recurrent *recurrent);

#endif
