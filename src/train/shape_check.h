/* Is a checkpoint of the model that a configuration means? Asked before there is memory for
 * the model: a configuration can ask for any size, what a checkpoint holds is on disk. */
#ifndef RW_SHAPE_CHECK_H
#define RW_SHAPE_CHECK_H

#include "base/config.h"
#include "checkpoints/checkpoint.h"
#include "model/model.h"

/* Compares names and shapes of the model's parameters with the weights of the checkpoint. The
 * message names the first that differs, with both shapes, and ends in `advice`. Not
 * collective. */
rw_status rw_shapes_check(const rw_checkpoint *checkpoint, rw_config *model,
                          const rw_format *format, const char *advice);

#endif
