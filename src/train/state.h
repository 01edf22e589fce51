/* The training state for checkpoints: weights and moments by name. */
#ifndef RW_STATE_H
#define RW_STATE_H

#include "checkpoints/checkpoint.h"
#include "model/model.h"
#include "optim/update.h"

typedef struct {
    rw_tensor *tensors; /* param/NAME, then opt/MOMENT/NAME */
    char **names;
    int count;
} rw_state;

/* The tensors of a model and, unless NULL, of its updater. A moment is sharded as in the updater.
 * Borrows the data. */
rw_status rw_state_new(const rw_model *model, rw_updater *updater, rw_state *out);
void rw_state_free(rw_state *state);

/* The first tensor of this rank with a value that is not finite; NULL: all values are finite. Not
 * collective. */
const char *rw_state_not_finite(const rw_tensor *tensors, int count);

/* The part of each parameter that this rank updates and keeps moments of: a contiguous shard of all
 * weights (Rajbhandari et al. 2020, ZeRO, stage 1). *out (by parameter) is owned by the caller. Not
 * collective. */
rw_status rw_state_parts(const rw_model *model, const rw_layout *layout, rw_part **out);

/* The treatment of each parameter by the optimizer; *out (by parameter) is owned by the caller. */
rw_status rw_state_trained(const rw_model *model, double state_lr_factor, rw_trained **out);

#endif
