/* The last part of planning: when each value, gradient and carry is alive, and
 * where it lies, in the arena or in a thread's scratch. */
#ifndef RW_PLAN_MEMORY_H
#define RW_PLAN_MEMORY_H

#include "model/plan.h"

/* Needs nodes, segments and (training) gradients to be planned; sets value,
 * gradient, carry, arena and scratch. Not collective. */
rw_status rw_plan_memory(rw_plan *plan);

#endif
