/* Does a checkpoint hold the model of a configuration? Checked before memory for the model is
 * allocated: a configuration can ask for any size, but the weights of a checkpoint are on disk. */
#ifndef RW_SHAPE_CHECK_H
#define RW_SHAPE_CHECK_H

#include "base/config.h"
#include "checkpoints/checkpoint.h"
#include "model/model.h"

/* Compares names and shapes of the model's parameters with the weights of the checkpoint. The
 * message names the first difference, with both shapes, and ends in `advice`. Not collective. */
rw_status rw_shapes_check(const rw_checkpoint *checkpoint, rw_config *model,
                          const rw_format *format, const char *advice);

#endif
