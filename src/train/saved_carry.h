/* States between steps (data.carry) in checkpoints: tensors carry/NAME, shape
 * (data.batch, state), sharded by sequences. Engines without `carry` have none. */
#ifndef RW_SAVED_CARRY_H
#define RW_SAVED_CARRY_H

#include "model/engine.h"
#include "train/state.h"

#define RW_CARRY_NAME 136

/* The tensors of a checkpoint: of the training state, then of the carry. */
typedef struct {
    rw_tensor *tensors;
    int count, carried; /* number of all tensors; number of tensors of the carry, the last ones */
    char (*names)[RW_CARRY_NAME];
} rw_saved_carry;

/* Of the `batch` sequences of a step. Borrows the data of both. Not collective. */
rw_status rw_saved_carry_new(const rw_engine *engine, const rw_layout *layout, long batch,
                             const rw_state *state, rw_saved_carry *out);
void rw_saved_carry_free(rw_saved_carry *saved);

/* The next step begins with the states of the checkpoint. Without states for these sequences
 * (written without data.carry, or with another batch) a warning is printed, and the states are
 * zero. Not collective. */
rw_status rw_saved_carry_read(const rw_saved_carry *saved, const rw_engine *engine,
                              rw_checkpoint *checkpoint);

#endif
