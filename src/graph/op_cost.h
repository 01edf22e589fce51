/* What a call of an op costs at least: the arithmetic that it declares, and the
 * bytes that have to move between processor and memory when no cache holds what
 * it works on. With the rates of a machine this is its roofline (Williams,
 * Waterman, Patterson 2009). */
#ifndef RW_OP_COST_H
#define RW_OP_COST_H

#include "graph/op.h"

typedef struct {
    double flops, bytes;
} rw_cost;

/* Of forward (with summary) or backward (with adjoint) on a chunk of `rows` tokens; global
 * carry: on a sequence of so many. The node is sized (op->shape with its chunk).
 *
 * flops: op->flops, twice that backward; a loss computes its forward pass again in
 * backward: three times. bytes: op->bytes, or else, each once a call,
 *   forward    inputs, output, parameters, what prepare made of them, saved;
 *   backward   kept inputs, kept output, gradient of the output, parameters and what was
 *              prepared; written: gradients of inputs, parameters and of the latter
 * (nothing where there are neither inputs nor parameters);
 *   and the carry: a summary and an adjoint of a tree read what forward and backward
 *   read once more; states are read and written where they are handed over. */
rw_cost rw_op_cost(const rw_node *node, int rows, bool backward);

#endif
