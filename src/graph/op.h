/* An op: the differentiable unit of a model. One file, one const descriptor.
 *
 * An op works on one chunk of consecutive rows of one sequence at a time. Callbacks are pure:
 * they write only the outputs named in graph/call.h, allocate nothing, call no MPI, and run in
 * parallel on different chunks. The result for a chunk depends on the arguments alone: it has
 * the same bits on any rank and thread.
 *
 * The carry of an op is what crosses chunks. At most one of these pointers is set:
 *
 *   (none)     nothing: chunks are independent
 *   shift      the next chunk needs something of this chunk alone (the last rows, for a short
 *              convolution)
 *   tree       a linear recurrence h' = A h + b of the state h over chunks. The summary of a
 *              chunk is its (A, b); the engine combines summaries on the chunk tree and gives
 *              each chunk the state at its start
 *   sequence   a non-linear recurrence: the chunks of a sequence are computed in order, different
 *              sequences in parallel; ranks that share sequences form a pipeline (mpi/pipeline.h)
 *   global     any row may need any other row: an op without parameters that gets all rows of the
 *              rank at once and exchanges what it needs by itself
 *
 * A training step, for an op with a shift or tree carry:
 *
 *   summary(chunk)     for all chunks  -> transition, state (tree) or state (shift)
 *   [engine: exchange]                 -> state_in of each chunk
 *   forward(chunk)     for all chunks
 *   ... rest of the model, loss, backward pass of the rest ...
 *   adjoint(chunk)     for all chunks  -> dstate_in: d loss / d state_in, local part
 *   [engine: mirrored exchange]        -> dstate_out of each chunk
 *   backward(chunk)    for all chunks
 *
 * With a sequence carry, summary and adjoint are the exchange: they run the recurrence once
 * forward and once backward. Their saved activations are all that forward and backward need, so
 * forward and backward hold the work without an order (products over whole chunks):
 *
 *   summary(chunk)     first chunk to last, with the true state_in   -> state, saved
 *   forward(chunk)     for all chunks, from saved
 *   adjoint(chunk)     last chunk to first, with the true dstate_out; may change saved
 *                      -> dstate_in, complete: local part and part through the chunk
 *   backward(chunk)    for all chunks, from saved
 *
 * With a global carry, global->forward and global->backward replace forward and backward. They
 * are collective over layout->sp_comm, may use the threads of the rank and the exchanges in
 * mpi/, and must give each row the same bits on any layout.
 */
#ifndef RW_OP_H
#define RW_OP_H

#include "base/status.h"
#include "graph/call.h"

typedef struct rw_graph rw_graph;

typedef struct {
    void (*summary)(const rw_call *call);
    void (*adjoint)(const rw_call *call); /* writes no gradient but dstate_in */
} rw_shift_carry;

typedef struct {
    void (*summary)(const rw_call *call);
    void (*adjoint)(const rw_call *call); /* writes no gradient but dstate_in */
    /* y = A x + b on slices [begin, end). A is the transition of 2^level full chunks whose
     * transition is given, transposed if asked. x NULL: zero. y may be b. */
    void (*advance)(const rw_node *node, const real *derived, const real *transition, int level,
                    bool transpose, int begin, int end, const real *x, const real *b, real *y);
    /* With size.transition > 0: the transition of two neighbouring ranges, left before right. */
    void (*compose)(const rw_node *node, const real *left, const real *right, real *out);
} rw_tree_carry;

typedef struct {
    /* The same chunk of `count` sequences, at most RW_MAX_TOGETHER, to be advanced together. The
     * bits of each sequence are the bits of a call of its own. */
    void (*summary)(const rw_call *calls, int count);
    void (*adjoint)(const rw_call *calls, int count); /* writes dstate_in, and may write saved */
} rw_sequence_carry;

typedef struct {
    /* With data.carry: how many last rows of its inputs in earlier steps the op reads, besides
     * sequences of `length`. The engine puts at most `length` past rows before the rows of the
     * step, in whole chunks. NULL: the op cannot continue from step to step. */
    long (*past_rows)(const rw_node *node, long length);
    /* Can the op run on this span? NULL: on any span. The answer is the same on all ranks. Errors:
     * RW_USAGE, with a message that names the key to set. */
    rw_status (*fits)(const rw_node *node, const rw_span *span);
    /* Reals of workspace that a call with up to span->most sequences needs; NULL: none. */
    size_t (*workspace)(const rw_node *node, const rw_span *span);
    void (*forward)(const rw_global *call);
    void (*backward)(const rw_global *call);
} rw_global_carry;

/* Promises to the memory planner. */
typedef struct {
    bool rowwise;         /* rows are independent: the op may be called on any part of a chunk. A
                             rowwise op that keeps all inputs is recomputed: it must be cheap */
    unsigned keeps_in;    /* bit i: backward or adjoint reads in[i] */
    bool keeps_out;       /* backward reads out */
    bool saves_in_place;  /* sequence carry: in[0] and its gradient may lie in the first columns of
                             the rows of saved; summary may write over in[0], and adjoint leaves
                             the gradient there */
    bool shares_gradient; /* in[0] is as wide as out: dout and din[0] may be one array; backward
                             reads a row of dout before it writes the row of din[0] */
    unsigned in_place;    /* bit i: in[i] and din[i] may be one array in backward, which then
                             reads no row of in[i] after it wrote the row of din[i] */
} rw_promises;

struct rw_op {
    const char *name;
    const char *doc;    /* a short description */
    const char *source; /* paper and equation; NULL: none */
    rw_promises promises;
    bool is_loss;          /* has no output; backward also computes the loss */
    bool spreads_rounding; /* by a transform over whole documents: the rounding of a row may
                              depend on any row of its document */
    bool sees_position;    /* a row depends on its position in the sequence, not in its document */
    bool sees_ahead;       /* a row may depend on later rows; there is no step then */

    /* Checks inputs, parameters and attributes; writes the width of the output (0: none). Errors:
     * RW_USAGE, with a message that says how to mend the config. */
    rw_status (*shape)(const rw_node *node, int *out_width);
    /* Writes node->size for node->setting; all sizes are zero before, and slices is 1. NULL: they
     * stay so. Errors: RW_USAGE, for a setting with which the op cannot run. */
    rw_status (*sizes)(rw_node *node);
    /* Once a step, before the first chunk: derived from params, for slices [begin, end)
     * (scratch: size.scratch reals). */
    void (*prepare)(const rw_node *node, const real *const *param, real *derived, int begin,
                    int end, real *scratch);
    /* Once a step, after the gradients of all chunks are summed: adds to dparam the gradient
     * that comes through derived. */
    void (*prepare_backward)(const rw_node *node, const real *const *param, const real *derived,
                             const real *dderived, real *const *dparam, int begin, int end,
                             real *scratch);
    void (*forward)(const rw_call *call);
    void (*backward)(const rw_call *call);
    /* The naive definition: plain loops over a whole sequence (rows = L, state_in NULL), from
     * params, not from derived; scratch as for forward. Shares no code with forward. */
    void (*reference)(const rw_call *call);
    /* One row (rows = 1); carry.state is updated in place. NULL where there is no carry: forward
     * is used. Uses derived (prepared with the chunk of the setting). */
    void (*step)(const rw_call *call);

    const rw_shift_carry *shift;
    const rw_tree_carry *tree;
    const rw_sequence_carry *sequence;
    const rw_global_carry *global;

    /* Floating-point operations of forward (with summary) on `rows` rows (global carry: on a
     * sequence of `rows` rows); backward counts twice that. */
    double (*flops)(const rw_node *node, int rows);
    /* Bytes that forward (with summary) or backward (with adjoint) has to move to or from
     * memory, on as many rows. NULL: computed from the node (graph/op_cost.h). */
    double (*bytes)(const rw_node *node, int rows, bool backward);

    /* A small use of the op on `x` (any width that is a multiple of 8), for the tests and the
     * benchmark that every op gets. Losses return no value. */
    rw_status (*sample)(rw_graph *graph, rw_value x, rw_value *y);
};

extern const rw_op *const rw_op_registry[]; /* NULL-terminated */

static inline bool rw_has_carry(const rw_op *op)
{
    return op->shift || op->tree || op->sequence || op->global;
}

/* Does the exchange do all the work of the op that has an order? */
static inline bool rw_runs_in_exchange(const rw_op *op)
{
    return op->sequence || op->global;
}

/* The callbacks of an op with a shift or tree carry; else NULL. */
static inline void (*rw_summary(const rw_op *op))(const rw_call *call)
{
    return op->tree ? op->tree->summary : op->shift ? op->shift->summary : NULL;
}

static inline void (*rw_adjoint(const rw_op *op))(const rw_call *call)
{
    return op->tree ? op->tree->adjoint : op->shift ? op->shift->adjoint : NULL;
}

#endif
