/* A model one token at a time: memory does not grow with the length. */
#ifndef RW_RECURRENT_H
#define RW_RECURRENT_H

#include "model/model.h"

typedef struct rw_recurrent rw_recurrent;

/* Prepares the model (borrowed, not changed) and a zero state. Not collective. */
rw_status rw_recurrent_new(const rw_model *model, rw_recurrent **out);
void rw_recurrent_destroy(rw_recurrent **recurrent);

/* Feeds one token (or, where the data is real, its features) and writes the
 * head's scores: logits (vocabulary), or predictions (features). */
void rw_recurrent_step(rw_recurrent *recurrent, int32_t token, const real *features, real *scores);
/* Back to the state before the first token. */
void rw_recurrent_reset(rw_recurrent *recurrent);

#endif
