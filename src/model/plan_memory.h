/* The last part of planning: when each value, gradient and carry is alive, and where it lies.
 *
 * The arena holds all stored buffers. Buffers with disjoint lifetimes overlap in addresses
 * (model/liveness.h). Two blocks, each with a carry:
 *
 *   address
 *     |  [ input of block 0 ----------------------------------------------- gradient ]
 *     |  [ carry of block 0 --------------------------------------------------- ]
 *     |        [ values of block 0 that backward reads -------------------- ]
 *     |              [ input of block 1 ----------------------- gradient ]
 *     |              [ carry of block 1 ------------------------- ]
 *     |                    [ values of block 1 ------------- ]
 *     |                                [ gradients of block 1 ]  [ gradients of block 0 ]
 *     +--------------------------------------------------------------------------> time
 *        forward: segments 0, 1, 2, ...          | backward: ..., 2, 1, 0
 *
 * A thread's scratch holds the values of one chunk that only one segment uses
 * (model/plan_scratch.h). */
#ifndef RW_PLAN_MEMORY_H
#define RW_PLAN_MEMORY_H

#include "model/plan.h"

/* Needs nodes, segments and (training) gradients to be planned; sets value,
 * gradient, carry, arena and scratch. Not collective. */
rw_status rw_plan_memory(rw_plan *plan);

#endif
