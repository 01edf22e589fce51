/* An op: the differentiable unit of a model. One file, one const descriptor.
 *
 * An op works on one chunk of consecutive tokens of one sequence at a time,
 * all arrays row-major (token, feature), real; ld = reals from one row to the
 * next. Callbacks are pure: they write only the outputs named here, allocate
 * nothing, call no MPI, and run in parallel on different chunks. The result
 * for a chunk may depend on nothing but the arguments: it has the same bits
 * whoever computes it.
 *
 * What crosses chunks is the op's carry:
 *   none   nothing: tokens (or at least chunks) are independent
 *   shift  the next chunk needs something of this one alone (the last rows
 *          before a short convolution)
 *   tree   a linear recurrence h' = A h + b of the state h over chunks: the
 *          chunk's own (A, b) is its summary; the engine combines summaries on
 *          the chunk tree and hands each chunk the state at its start.
 *   sequence   a non-linear recurrence: the chunks of a sequence are done in
 *          order, and only sequences in parallel; ranks that share sequences form
 *          a pipeline over them (mpi/pipeline.h).
 *   global   any row may need any other: an op without parameters that gets all
 *          rows of this rank at once and exchanges what it needs by itself.
 *
 * Training step, seen from an op with a carry:
 *   summary(chunk)            for all chunks   -> map, state  (tree) / state (shift)
 *   [engine: exchange]                         -> state_in of each chunk
 *   forward(chunk)            for all chunks
 *   ... rest of the model, loss, backward of the rest ...
 *   adjoint(chunk)            for all chunks   -> dstate_in: d loss/d state_in, local part
 *   [engine: exchange, mirrored]               -> dstate_out of each chunk
 *   backward(chunk)           for all chunks
 *
 * With a sequence carry, summary and adjoint are the exchange, and run the
 * recurrence once, forward and backward; what they leave in `saved` is all that
 * the chunk-parallel callbacks need, so that those are left with the work that
 * has no order (matrix products over whole chunks):
 *   summary(chunk)    first chunk to last, with the true state_in -> state, saved
 *   forward(chunk)    for all chunks, from saved
 *   adjoint(chunk)    last chunk to first, with the true dstate_out; may change
 *                     saved -> dstate_in, all of it: local and through the chunk
 *   backward(chunk)   for all chunks, from saved
 *
 * With a global carry, global_forward and global_backward stand in the place of
 * all four. They are collective over layout->sp_comm, may use the threads of the
 * rank and the exchanges in mpi/, and must give a row the same bits on any layout.
 */
#ifndef RW_OP_H
#define RW_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/barrier.h"
#include "base/status.h"
#include "kernels/rounded_product.h"
#include "mpi/span.h"
#include "tensor/real.h"

#define RW_MAX_INPUTS    6
#define RW_MAX_OP_PARAMS 8
/* Sequences that summary and adjoint of a sequence carry may get in one call. */
#define RW_MAX_TOGETHER 4

/* Threads that make the same call together, each a part of it. */
typedef struct {
    rw_barrier *barrier;
    int rank, size;
    real *scratch; /* that of the first thread, for what all are to see */
} rw_team;

typedef struct rw_op rw_op;
typedef struct rw_graph rw_graph;
typedef struct rw_call rw_call;
typedef struct rw_global rw_global;

/* Columns [begin, begin + width) of value `id` of a graph. */
typedef struct {
    int id, begin, width;
} rw_value;

typedef enum {
    RW_CARRY_NONE,
    RW_CARRY_SHIFT,
    RW_CARRY_TREE,
    RW_CARRY_SEQUENCE,
    RW_CARRY_GLOBAL
} rw_carry;

/* An op's place in a graph. Filled by rw_graph_apply and op->shape. */
typedef struct {
    const rw_op *op;
    int index; /* in the graph */
    int block;
    /* Names of what belongs to the node begin with this: "blocks.0." */
    char scope[64];
    int chunk;              /* tokens of a full chunk, T: set by the engine before op->shape is
                               called again for planning (0 while building) */
    int levels;             /* advance will be called with levels 0 .. levels-1; set with chunk */
    rw_precision precision; /* of products with weights: set with chunk; float32 in `step` */
    long horizon;           /* step will be called for at most this many tokens of a sequence;
                               0 where it is not called */
    int ins, params;
    int in[RW_MAX_INPUTS], in_begin[RW_MAX_INPUTS], in_width[RW_MAX_INPUTS];
    int out;       /* value id, -1: none */
    int out_width; /* set by shape */
    int param[RW_MAX_OP_PARAMS];
    long param_rows[RW_MAX_OP_PARAMS], param_cols[RW_MAX_OP_PARAMS];
    const void *attributes;
    /* Set by shape (from widths, attributes and chunk), in reals: */
    size_t derived;      /* what prepare computes from the parameters */
    size_t derived_grad; /* gradient with respect to it, summed over chunks */
    size_t scratch;      /* working memory of one call, one thread */
    size_t map, state;   /* the carry: transition and state; map may be 0 */
    size_t saved;        /* sequence and global carry: what is kept of a row */
    bool cheap;          /* shift carry: forward costs hardly more than to read what it makes,
                            and needs no more than backward keeps: it is called again then */
    int lanes;           /* prepare, prepare_backward and advance may be called on
                            disjoint ranges of lanes (heads, channel groups); >= 1 */
} rw_node;

/* The arguments of a call. What does not apply is NULL. */
struct rw_call {
    const rw_node *node;
    int rows;      /* tokens of this chunk, 1..T; the last chunk may be short */
    long sequence; /* index of the sequence in the step's batch */
    long position; /* of the first row in the sequence */
    long passed;   /* rows of earlier steps that the sequence goes on from (data.carry): for
                      ops that look at how far apart rows are */
    uint64_t seed, step;
    bool training; /* dropout is on */

    const real *in[RW_MAX_INPUTS];
    int in_ld[RW_MAX_INPUTS];
    real *out;
    int out_ld;
    const real *param[RW_MAX_OP_PARAMS];
    const real *derived;
    real *scratch;

    /* Data of the chunk's rows, for ops that read data (embedding, losses). */
    const int32_t *tokens, *targets;
    const real *features, *target_features;
    double *loss;    /* losses: sum over the rows that count */
    real *row_loss;  /* losses: per row, or NULL if not wanted */
    double *correct; /* losses, in `forward`: rows whose best-scored id is the target */
    real loss_scale; /* losses: factor of the gradient (1 / number of targets) */
    real *scores;    /* losses, in `step`: predictions of the one row (vocabulary) */

    /* Carry. */
    const real *state_in;   /* state at the chunk's start; NULL: zero */
    real *map, *state;      /* summary writes both; step updates state in place */
    const real *dstate_out; /* d loss / d (state at the chunk's end); NULL: zero */
    real *dstate_in;        /* adjoint writes it */

    /* Sequence carry. summary and adjoint get whole chunks, and in `beside` the
     * same chunk of further sequences (at most RW_MAX_TOGETHER in all), to be
     * advanced together: the bits of each are those that it has alone. */
    real *saved;           /* (rows, node->saved) */
    const uint8_t *starts; /* 1 for each row before which the state is reset to zero; NULL: none */
    const rw_call *beside; /* NULL: no further sequence */
    const rw_team *team;   /* each thread of it makes the call, does its part of all rows and
                              returns when the call is done by all; NULL: the thread alone */

    /* Backward. */
    const real *dout;
    int dout_ld;
    real *din[RW_MAX_INPUTS]; /* NULL: not wanted */
    int din_ld[RW_MAX_INPUTS];
    bool din_add[RW_MAX_INPUTS];    /* add to din instead of writing it */
    real *dparam[RW_MAX_OP_PARAMS]; /* always add */
    real *dderived;                 /* always add */
    bool discards;                  /* what is added to these two is thrown away: an op
                                       may leave it out */
};

/* The arguments of a global op: all rows that this rank holds of the sequences
 * of a micro-batch. Row r of sequence b of a value is at (b * span.stride + r) * ld.
 * Rows beyond span.rows are not to be touched. */
struct rw_global {
    const rw_node *node;
    rw_span span;
    const uint8_t *starts; /* (sequences, length) of whole sequences, 1 where a document
                              begins, past which nothing may cross; NULL: none */
    const real *in[RW_MAX_INPUTS];
    int in_ld[RW_MAX_INPUTS];
    real *out;
    int out_ld;
    real *saved;     /* (sequences, stride, node->saved): of forward, for backward */
    real *workspace; /* as asked for */

    /* Backward. */
    const real *dout;
    int dout_ld;
    real *din[RW_MAX_INPUTS]; /* NULL: not wanted */
    int din_ld[RW_MAX_INPUTS];
    bool din_add[RW_MAX_INPUTS]; /* add to din instead of writing it */
};

struct rw_op {
    const char *name;
    const char *doc;    /* one line */
    const char *source; /* paper and equation, where there is one */
    rw_carry carry;
    bool rowwise;          /* rows are independent: may be called on any part of a chunk; and,
                              if it keeps all inputs, again before backward: let it be cheap */
    bool is_loss;          /* has no output; backward also computes the loss */
    unsigned keeps_in;     /* bit i: backward or adjoint reads in[i] */
    bool keeps_out;        /* backward reads out */
    bool saves_in_place;   /* sequence carry: in[0], and its gradient, may lie in the first
                              columns of the rows of saved: summary may write over it, and
                              adjoint leaves the gradient there */
    bool shares_gradient;  /* in[0] is as wide as out: backward may get the gradients of both in
                              one place; it reads a row of d out before it writes that of d in */
    unsigned in_place;     /* bit i: in[i] and din[i] may be one array in backward, which then
                              reads no row of in[i] after it wrote that of din[i] */
    bool spreads_rounding; /* by a transform over whole documents: how a row is rounded may
                              depend on any row of its document */
    bool sees_ahead;       /* a row may depend on later ones; there is no step then */

    /* Checks inputs and attributes, sets out_width and the sizes of the node. */
    rw_status (*shape)(rw_node *node);
    /* Once a step, before the first chunk: derived from params, for lanes
     * [begin, end) (scratch: node->scratch reals). */
    void (*prepare)(const rw_node *node, const real *const *param, real *derived, int begin,
                    int end, real *scratch);
    /* Once a step, after the gradients of all chunks are summed: adds the part
     * of the gradient that came by way of derived. */
    void (*prepare_backward)(const rw_node *node, const real *const *param, const real *derived,
                             const real *dderived, real *const *dparam, int begin, int end,
                             real *scratch);
    void (*forward)(const rw_call *call);
    void (*backward)(const rw_call *call);
    /* The naive definition: plain loops over a whole sequence (rows = L, state_in
     * NULL), from params, not derived; scratch as for forward. Shares no code
     * with forward. */
    void (*reference)(const rw_call *call);
    /* One token (rows = 1); `state` is updated in place. NULL where carry is
     * none: forward is used. Uses derived (prepared with chunk = node->chunk). */
    void (*step)(const rw_call *call);

    /* Carry only (see above; adjoint writes no gradient but dstate_in and saved). */
    void (*summary)(const rw_call *call);
    void (*adjoint)(const rw_call *call);
    /* Tree only. y = A x + b on lanes [begin, end), where A is the transition of
     * 2^level full chunks with the given map, transposed if asked. x NULL: zero.
     * y may be b. */
    void (*advance)(const rw_node *node, const real *derived, const real *map, int level,
                    bool transpose, int begin, int end, const real *x, const real *b, real *y);
    /* Tree with map > 0: the map of two neighbouring ranges, left before right. */
    void (*compose)(const rw_node *node, const real *left, const real *right, real *out);

    /* Global only: of the step before (data.carry), how many last rows of its inputs the
     * op is to see, besides sequences of `length`; the engine sets at most `length` of them
     * before those of the step, in whole chunks. NULL: it cannot go on from step to step. */
    long (*memory)(const rw_node *node, long length);
    /* Global only: can the op run on this span? NULL: on any. The answer is the same
     * on all ranks. Errors: RW_USAGE, saying what to set. */
    rw_status (*fits)(const rw_node *node, const rw_span *span);
    /* Global only: reals that a call needs besides its arguments (NULL: none), for
     * up to span->most sequences; forward and backward. */
    size_t (*workspace)(const rw_node *node, const rw_span *span);
    void (*global_forward)(const rw_global *call);
    void (*global_backward)(const rw_global *call);

    /* Floating-point operations of forward (with summary) on `rows` tokens (global
     * carry: on a sequence of so many); backward counts twice that. */
    double (*flops)(const rw_node *node, int rows);
    /* Bytes that forward (with summary) or backward (with adjoint) has to move to or from
     * memory, on as many rows. NULL: what follows from the node (ops/op_cost.h). */
    double (*bytes)(const rw_node *node, int rows, bool backward);

    /* A small use of the op on `x` (any width that is a multiple of 8), for the
     * tests and the benchmark that every op gets. Losses return no value. */
    rw_status (*sample)(rw_graph *graph, rw_value x, rw_value *y);
};

extern const rw_op *const rw_op_registry[]; /* NULL-terminated: those of src/ops */

#endif
