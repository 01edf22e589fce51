/* A node: an op at its place in a graph. Who writes what:
 *
 *   wiring    rw_graph_apply: inputs, parameters, output
 *   setting   the engine, before it asks op->sizes: chunk, precision, ...
 *   size      op->sizes: reals of derived data, scratch and carry
 */
#ifndef RW_NODE_H
#define RW_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/rounded_product.h"

#define RW_MAX_INPUTS    6
#define RW_MAX_OP_PARAMS 8

typedef struct rw_op rw_op;

/* Columns [begin, begin + width) of value `id` of a graph. */
typedef struct {
    int id, begin, width;
} rw_value;

/* How a node will be run. */
typedef struct {
    int chunk;              /* rows of a full chunk, T */
    int levels;             /* the tree carry's advance is called with levels 0 .. levels-1 */
    rw_precision precision; /* of products with weights; float32 in `step` */
    long horizon;           /* most tokens of a sequence for which `step` is called; 0: never */
} rw_setting;

/* The sizes of a node with a setting, in reals. */
typedef struct {
    size_t derived;      /* data that prepare computes from the parameters */
    size_t derived_grad; /* gradient with respect to the derived data, summed over chunks */
    size_t scratch;      /* working memory of one call of one thread */
    size_t transition;   /* tree carry: the transition of one chunk; 0: derived data holds it */
    size_t state;        /* the state of the carry at one point of a sequence */
    size_t saved;        /* sequence and global carry: saved activations of one row */
    int slices;          /* prepare, prepare_backward and advance may be called on disjoint ranges
                            of slices (heads, channel groups) at once; at least 1 */
    bool cheap;          /* shift carry: forward costs hardly more than a read of its output, and
                            needs only inputs that backward keeps. The engine recomputes it */
} rw_sizes;

typedef struct {
    const rw_op *op;
    int index; /* in the graph */
    int block;
    char scope[64]; /* prefix of the names of all parameters and states of the node: "blocks.0." */
    const void *attributes;

    /* Wiring. */
    int ins, params;
    int in[RW_MAX_INPUTS], in_begin[RW_MAX_INPUTS], in_width[RW_MAX_INPUTS];
    int out; /* value id, -1: none */
    int out_width;
    int param[RW_MAX_OP_PARAMS];
    long param_rows[RW_MAX_OP_PARAMS], param_cols[RW_MAX_OP_PARAMS];

    rw_setting setting;
    rw_sizes size;
} rw_node;

#endif
