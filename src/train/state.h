/* The training state as a checkpoint sees it: weights and moments by name. */
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

/* The tensors of a model and, unless NULL, of its updater: a moment is sharded
 * where the updater has a part of it. Borrows their data. */
rw_status rw_state_new(const rw_model *model, rw_updater *updater, rw_state *out);
void rw_state_free(rw_state *state);

/* The first tensor with a value, among those that this rank holds, that is not finite; NULL if all
 * are. Not collective. */
const char *rw_state_not_finite(const rw_tensor *tensors, int count);

/* What this rank updates of each parameter and keeps moments of: a contiguous
 * shard of all weights (Rajbhandari et al. 2020, ZeRO, stage 1). *out (one a
 * parameter) is owned by the caller. Not collective. */
rw_status rw_state_parts(const rw_model *model, const rw_layout *layout, rw_part **out);

/* How the optimizer treats each parameter; *out (one a parameter) is owned by
 * the caller. */
rw_status rw_state_trained(const rw_model *model, double state_lr_factor, rw_trained **out);

#endif
