/* An op with all arguments of its calls: runs the op alone, over so many chunks that no cache holds
 * them, like in a training step. */
#ifndef RW_OP_RIG_H
#define RW_OP_RIG_H

#include "model/model.h"
#include "mpi/layout.h"
#include "graph/op_cost.h"

/* The arrays of every slot. */
enum {
    RW_RIG_IN,
    RW_RIG_DIN = RW_RIG_IN + RW_MAX_INPUTS,
    RW_RIG_OUT = RW_RIG_DIN + RW_MAX_INPUTS,
    RW_RIG_DOUT,
    RW_RIG_TRANSITION,
    RW_RIG_STATE,
    RW_RIG_STATE_IN,
    RW_RIG_DSTATE_OUT,
    RW_RIG_DSTATE_IN,
    RW_RIG_SAVED,
    RW_RIG_DATA,
    RW_RIG_ARRAYS
};

/* A slot is a chunk, or with a global carry the rows of a sequence on this rank. */
typedef struct {
    const rw_layout *layout;
    const rw_model *model;
    rw_node node;
    rw_span span;
    long slots, rows;           /* of this rank; rows of a slot */
    size_t per[RW_RIG_ARRAYS];  /* reals of a slot */
    real *array[RW_RIG_ARRAYS]; /* (slots, per) */
    int32_t *tokens;            /* (rows) */
    real *derived, *workspace;
    real *scratch, *leaf; /* of each thread, with this many reals: */
    size_t scratch_each, leaf_each, dderived;
    double *losses; /* of each thread */
} rw_op_rig;

/* Node `index` of a model, with so many chunks that the arrays of this rank take `bytes` or a
 * little more; borrows the model. Not collective, but every rank must make the same call; close it,
 * also after an error. RW_USAGE if the op cannot run on this layout. */
rw_status rw_op_rig_open(const rw_layout *layout, const rw_model *model, int index, double bytes,
                         rw_op_rig *out);
void rw_op_rig_close(rw_op_rig *rig);

/* The work of all ranks together in a pass, and its tokens. */
rw_cost rw_op_rig_cost(const rw_op_rig *rig, bool backward);
double rw_op_rig_tokens(const rw_op_rig *rig);

/* All slots, by all threads: summary and forward; adjoint and backward, after a
 * forward pass. Collective over the layout if the carry is global. */
void rw_op_rig_forward(rw_op_rig *rig);
void rw_op_rig_backward(rw_op_rig *rig);
/* The work once a step, before and after all chunks. */
void rw_op_rig_prepare(rw_op_rig *rig);
void rw_op_rig_prepare_backward(rw_op_rig *rig);

#endif
