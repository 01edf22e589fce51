/* Part of planning: where what lives within one chunk lies in a thread's scratch. */
#ifndef RW_PLAN_SCRATCH_H
#define RW_PLAN_SCRATCH_H

#include "model/plan.h"

/* By value id, for values and for gradients: the only segment that touches it,
 * or another number for what is stored or not used. Sets the offsets of what is
 * not stored in value, gradient and replayed; and scratch. Not collective. */
rw_status rw_plan_scratch(rw_plan *plan, const int *value_segment, const int *gradient_segment);

#endif
