/* The least cost of a call of an op: the arithmetic that the op declares, and the bytes between
 * processor and memory when no cache holds the data. With the rates of a machine this is the
 * roofline of the op (Williams, Waterman, Patterson 2009). */
#ifndef RW_OP_COST_H
#define RW_OP_COST_H

#include "graph/op.h"

typedef struct {
    double flops, bytes;
} rw_cost;

/* The cost of forward (with summary) or backward (with adjoint) on a chunk of `rows` tokens; global
 * carry: on a sequence of `rows` tokens. The node has a setting (rw_node_set).
 *
 * flops: op->flops; backward twice as many, or three times for a loss, which recomputes its forward
 * pass. bytes: op->bytes; if NULL, each of these once a call:
 *   forward    inputs, output, parameters, derived data, saved;
 *   backward   read: kept inputs, kept output, gradient of the output, parameters, derived data;
 *              written: gradients of inputs, parameters and derived data
 *   (0 for an op with neither inputs nor parameters)
 *   carry      the summary and the adjoint of a tree carry read the same rows once more; states are
 *              read and written at the exchange. */
rw_cost rw_op_cost(const rw_node *node, int rows, bool backward);

#endif
