/* How fast an op runs alone, on all threads of all ranks at once, from memory:
 * forward and backward against the roofline of what it declares. */
#ifndef RW_OP_SPEED_H
#define RW_OP_SPEED_H

#include "measure/op_uses.h"
#include "measure/roofline.h"

/* A pass over a token, all ranks together. */
typedef struct {
    double seconds; /* median of the rounds */
    rw_cost cost;
    double share;   /* roofline over measured, from rates measured in turn; median */
    bool is_memory; /* the limit is the rate of memory, not that of products */
} rw_op_pass;

/* The same on every rank. */
typedef struct {
    int in, out; /* columns */
    rw_op_pass forward, backward;
    double prepare; /* seconds a step spends on what depends on the weights alone, both ways */
    int rounds;     /* 0: not measured, see `reason` */
    char reason[160];
} rw_op_figures;

/* Collective over the layout. What the op cannot do on it is a reason, no error. */
rw_status rw_op_speed_run(const rw_layout *layout, const rw_op_use *use, int rounds,
                          rw_op_figures *out);

#endif
