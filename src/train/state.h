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

/* The tensors of a model and, unless NULL, of its updater. Borrows their data. */
rw_status rw_state_new(const rw_model *model, rw_updater *updater, rw_state *out);
void rw_state_free(rw_state *state);

/* How the optimizer treats each parameter; *out (one a parameter) is owned by
 * the caller. */
rw_status rw_state_trained(const rw_model *model, double state_lr_factor, rw_trained **out);

#endif
