/* States between steps (data.carry) in checkpoints: tensors carry/NAME, shape
 * (data.batch, state), sharded by sequences. Engines without `carry` have none. */
#ifndef RW_SAVED_CARRY_H
#define RW_SAVED_CARRY_H

#include "model/engine.h"
#include "train/state.h"

#define RW_CARRY_NAME 136

/* All that a checkpoint is to hold: the tensors of a state, then the carry's. */
typedef struct {
    rw_tensor *tensors;
    int count, carried; /* of all; of these, the last, the carry's */
    char (*names)[RW_CARRY_NAME];
} rw_saved_carry;

/* Of the `batch` sequences of a step. Borrows the data of both. Not collective. */
rw_status rw_saved_carry_new(const rw_engine *engine, const rw_layout *layout, long batch,
                             const rw_state *state, rw_saved_carry *out);
void rw_saved_carry_free(rw_saved_carry *saved);

/* Lets the next step begin with the states of the checkpoint. One that has none for
 * these sequences (written without data.carry, or of another batch) is a warning:
 * the states are zero then. Not collective. */
rw_status rw_saved_carry_read(const rw_saved_carry *saved, const rw_engine *engine,
                              rw_checkpoint *checkpoint);

#endif
