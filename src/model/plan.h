/* The plan: all decisions of a step, made once. A graph, a layout and the sizes of a batch
 * determine the segments, the place of every value and gradient, the order in which gradients are
 * added, and the size of the gradient of a chunk.
 *
 * A segment is a run of nodes without a carry between them. All its ops run on one chunk while the
 * chunk is in cache, then on the next chunk.
 *
 *      segment s                          segment s+1
 *   | carry op k: forward | ops ... | carry op k+1: summary |  exchange | ...
 *
 * and backward, in reverse:
 *
 *   ... exchange | carry op k+1: backward | ops ... reversed | carry op k: adjoint | exchange
 *
 * Recomputation by chunk. Only the input of the block and its carries are stored; all other values
 * are in scratch. On each chunk, the forward pass of a segment begins with all earlier segments of
 * the block. Its backward pass begins with the forward pass of the whole block and the backward
 * pass of all later segments. With any recomputation, the last segment, which holds the loss, runs
 * forward and backward at once on each chunk.
 *
 * Cheap values. The backward pass recomputes a value, in scratch, if this costs hardly more than to
 * read the value: the output of a row-wise op that keeps all its inputs (a norm, an activation),
 * and the output of a sequence carry, from `saved`. The input of an op with saves_in_place lies in
 * the rows of `saved`, and its gradient takes the same place.
 */
#ifndef RW_PLAN_H
#define RW_PLAN_H

#include "model/liveness.h"
#include "mpi/layout.h"
#include "mpi/tree.h"
#include "graph/graph.h"

/* Which part of the forward pass is run a second time in the backward pass, so that less is stored.
 */
typedef enum {
    RW_RECOMPUTE_NONE,
    RW_RECOMPUTE_BLOCK, /* a whole block: only its input is stored */
    RW_RECOMPUTE_CHUNK, /* a chunk of a block: only its input and its carries are stored. A block
                           with a sequence or global carry is recomputed as a whole */
} rw_recompute;

typedef struct {
    int first, last; /* nodes [first, last) */
    bool opens;      /* node `first` has a carry */
    int closes;      /* node with a carry whose summary ends the segment, or -1 */
    int block;
    int begin, end; /* segments [begin, end) of the block */
    rw_recompute recompute;
    bool recomputed; /* its forward runs a second time, before the backward pass of the block */
    size_t leaf;     /* reals of the gradient of one chunk */
} rw_segment;

/* The place of a value or of its gradient. */
typedef struct {
    bool stored;   /* in the arena, for all local tokens; else in thread scratch */
    size_t offset; /* reals */
    int ld;        /* reals from one row to the next */
} rw_place;

/* The places of the carry of a node in the arena: (sequences, local chunks, n). A sequence carry
 * has no part: its states go straight to value and gradient. */
typedef struct {
    size_t transition, part, value, gradient, saved;
} rw_carry_place;

/* Decisions about a value of the graph. */
typedef struct {
    rw_place value, gradient;
    bool needs_gradient;
    int block;         /* of the op that computes the value */
    size_t recomputed; /* offset in scratch when the value is recomputed for backward */
} rw_value_plan;

/* Decisions about a node, beside its sizes. */
typedef struct {
    size_t derived;                      /* offset in the derived data */
    bool add[RW_MAX_INPUTS];             /* din_add */
    size_t leaf_param[RW_MAX_OP_PARAMS]; /* offsets in the leaf of the node's segment */
    size_t leaf_derived;
    rw_carry_place carry;
    long past_rows; /* rows of earlier steps that a global op reads, or 0 */
} rw_node_plan;

typedef struct {
    int chunk;      /* tokens of a chunk, T */
    long length;    /* tokens of a sequence, L */
    long batch;     /* sequences of a step, over all ranks */
    int accumulate; /* micro-batches of a step */
    bool training;  /* plan a backward pass */
    rw_recompute recompute;
    bool carry;             /* a step begins with the final states of the step before */
    rw_precision precision; /* of products with weights; the same on all ranks */
} rw_plan_options;

typedef struct {
    rw_plan_options options;
    const rw_graph *graph;
    rw_tree tree;       /* over all chunks of the step */
    rw_range chunks;    /* of this rank */
    rw_range sequences; /* of this rank */
    long micro;         /* largest number of sequences of a micro-batch on this rank */

    rw_node *nodes; /* copies, planned for this chunk size */
    int node_count;
    rw_segment *segments;
    int segment_count;
    rw_value_plan *values; /* by value id */
    rw_node_plan *places;  /* by node */
    bool *recomputes;      /* (segments, values): the backward pass of the segment begins with
                              recomputing the value */
    size_t arena;          /* reals of all stored buffers */
    size_t scratch;        /* reals a thread: scratch values and gradients */
    size_t op_scratch;     /* reals a thread: working memory of an op, after the scratch values */
    size_t derived_total;  /* reals */
    size_t largest_leaf;
} rw_plan;

/* A state that goes from step to step (data.carry). */
typedef struct {
    char name[128]; /* unique: blocks.0.ssd */
    size_t state;   /* reals of a sequence */
    real *data;     /* (local sequences, state): the next step begins with them. The same on all
                       ranks of sp_comm; checkpoints save and restore them */
} rw_carried;

/* Not collective; every rank plans the same graph with the same options. Errors (RW_USAGE): more
 * ranks than chunks or sequences, a value without use, an op or a length that data.carry does not
 * allow. */
rw_status rw_plan_new(const rw_graph *graph, const rw_layout *layout,
                      const rw_plan_options *options, rw_plan **out);
void rw_plan_destroy(rw_plan **plan);

/* Ranks that share sequences form groups of the sequences of a micro-batch, if there are several
 * sequences: the exchange of one group is in flight while the other group is computed. */
enum { RW_MAX_GROUPS = 2 };
int rw_plan_groups(const rw_layout *layout, long sequences);

/* Reals of scratch of a thread: values and gradients, then the working memory of an op. */
size_t rw_plan_thread_scratch(const rw_plan *plan);

/* Tokens of a sequence on this rank. */
long rw_plan_rows(const rw_plan *plan);
/* Tokens of chunk `chunk` (absolute). */
int rw_plan_chunk_rows(const rw_plan *plan, long chunk);
/* Consecutive row-wise nodes run together, tile by tile. The end of the run that begins with
 * `node`, within [node, last). */
int rw_plan_run_end(const rw_plan *plan, int node, int last);
/* The values that the backward pass of segment s recomputes, by value id. */
static inline bool *rw_plan_recomputes(const rw_plan *plan, int s)
{
    return plan->recomputes + (size_t)s * (size_t)rw_graph_values(plan->graph);
}
/* Does the segment run forward only within its backward pass, chunk by chunk? */
static inline bool rw_runs_in_backward(const rw_plan *plan, int s)
{
    const rw_segment *segment = &plan->segments[s];
    return plan->options.training && segment->recompute == RW_RECOMPUTE_CHUNK &&
           segment->begin == s && segment->end == plan->segment_count && s == segment->end - 1;
}
/* Columns of all inputs of a node. */
size_t rw_plan_input_width(const rw_node *node);
/* Is node i the carry op that opens segment s? */
static inline bool rw_opens(const rw_segment *s, int node)
{
    return s->opens && node == s->first;
}

#endif
