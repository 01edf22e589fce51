/* A model one token at a time: what recurrences carry has a constant size, what
 * attention and free-form filters look back on is kept for `horizon` tokens. */
#ifndef RW_RECURRENT_H
#define RW_RECURRENT_H

#include "model/model.h"

typedef struct rw_recurrent rw_recurrent;

/* Prepares the model (borrowed, not changed) and a zero state, for at most
 * `horizon` tokens from a reset. Not collective. Errors: RW_USAGE for a model
 * that looks at later tokens. */
rw_status rw_recurrent_new(const rw_model *model, long horizon, rw_recurrent **out);
void rw_recurrent_destroy(rw_recurrent **recurrent);

/* Feeds one token (or, where the data is real, its features) and writes the
 * head's scores: logits (vocabulary), or predictions (features). */
void rw_recurrent_step(rw_recurrent *recurrent, int32_t token, const real *features, real *scores);
/* Remembers the state of now: rw_recurrent_reset goes back to it from here on. Several
 * continuations of one prompt need the prompt once. */
rw_status rw_recurrent_mark(rw_recurrent *recurrent);
/* Back to the state of rw_recurrent_mark, or to that before the first token. */
void rw_recurrent_reset(rw_recurrent *recurrent);

#endif
