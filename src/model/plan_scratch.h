/* Part of planning: the places of values within one chunk, in the scratch of a thread. */
#ifndef RW_PLAN_SCRATCH_H
#define RW_PLAN_SCRATCH_H

#include "model/plan.h"

/* By value id, for values and for gradients: the only segment that uses the value, or a negative
 * number for stored and unused values. Sets the offsets of the others in the value plans, and the
 * size of scratch. Not collective. */
rw_status rw_plan_scratch(rw_plan *plan, const int *value_segment, const int *gradient_segment);

#endif
