/* The speed of an op alone, on all threads of all ranks at once, from memory: forward and backward
 * against the roofline of its declared costs. */
#ifndef RW_OP_SPEED_H
#define RW_OP_SPEED_H

#include "measure/op_uses.h"
#include "measure/roofline.h"

/* A pass over a token, all ranks together. */
typedef struct {
    double seconds; /* median of the rounds */
    rw_cost cost;
    double share;   /* roofline over measured, from rates measured in turn; median */
    bool is_memory; /* the limit is the rate of memory, not the rate of products */
} rw_op_pass;

/* The same on every rank. */
typedef struct {
    int in, out; /* columns */
    rw_op_pass forward, backward;
    double prepare; /* seconds once a step for the derived data, both directions */
    int rounds;     /* 0: not measured, see `reason` */
    char reason[160];
} rw_op_figures;

/* Collective over the layout. An op that cannot run on the layout gives a reason, no error. */
rw_status rw_op_speed_run(const rw_layout *layout, const rw_op_use *use, int rounds,
                          rw_op_figures *out);

#endif
