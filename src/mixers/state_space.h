/* Time-invariant state spaces as an op with a tree carry, shared by `lssl` and `s4d`.
 *
 *   h_t = Abar_d h_{t-1} + Bbar_d u_t,   y_t = C_d h_t + skip_d u_t   per channel d
 *
 * Inside a chunk the output has two terms: the convolution of u with the kernel K_t = C Abar^t
 * Bbar, t < T, by FFT, and the response to the state at the start of the chunk: the recurrence with
 * zero input. The state (N, D) crosses chunks on the tree. The transition of 2^k chunks is the same
 * for all chunks: prepare computes it once a step (node->size.transition is 0).
 *
 * A family of state spaces is a rw_recurrence: the recurrence over one column of
 * RW_LANES channels (kernels/lanes.h). Everything else is here. */
#ifndef RW_STATE_SPACE_H
#define RW_STATE_SPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "graph/layers.h"

/* Parameters of the op, in this order; a family may add its own. */
enum {
    RW_STATE_SPACE_LOG_DT, /* (1, D) */
    RW_STATE_SPACE_C,      /* (D, N) */
    RW_STATE_SPACE_SKIP,   /* (1, D) */
    RW_STATE_SPACE_PARAMS
};

#define RW_STATE_SPACE_MAX_STATE 512

/* A column of channels during a call. */
typedef struct {
    const rw_node *node;
    int state;   /* N */
    int channel; /* the first channel */
    int width;   /* how many there are, 1 .. RW_LANES; the other lanes give zero */
    const real *coefficients;
} rw_state_space_column;

/* All arrays (rows, RW_LANES) unless said otherwise; sizes in reals. */
typedef struct {
    size_t (*coefficient_reals)(int state);
    size_t (*power_reals)(int state);
    /* Working memory of `gradient`, and the gradient with respect to the
     * coefficients (0: gradients go to the parameters directly). */
    size_t (*gradient_scratch_reals)(int state);
    size_t (*gradient_reals)(int state);

    /* From the parameters: the coefficients of the column, and the transitions
     * of T 2^k tokens at powers + k * stride, for k < node->setting.levels. */
    void (*prepare)(const rw_state_space_column *column, const real *const *param,
                    real *coefficients, real *powers, size_t stride);
    /* Moves the state h (N) by a token. */
    void (*step)(const rw_state_space_column *column, const real *u, real *y, real *h);
    /* The state h after `rows` tokens, from zero; from p = d/dh after the tokens, overwritten, to
     * du. */
    void (*input)(const rw_state_space_column *column, int rows, const real *u, real *h);
    void (*input_adjoint)(const rw_state_space_column *column, int rows, real *p, real *du);
    /* Adds the term of the state h before the tokens, overwritten, to y; from dy to p = d/dh before
     * the tokens. */
    void (*output)(const rw_state_space_column *column, int rows, real *h, real *y);
    void (*output_adjoint)(const rw_state_space_column *column, int rows, const real *dy, real *p);
    /* Adds the gradients of the column's tokens to dparam (log_dt, C and the family's own; not
     * skip) or to dcoefficients. h is the state before the tokens, and is overwritten; dh is d/dh
     * after the tokens. */
    void (*gradient)(const rw_state_space_column *column, int rows, const real *u, const real *dy,
                     const real *dh, real *h, real *const *dparam, real *dcoefficients,
                     real *scratch);
    /* y = power x, or its transpose. */
    void (*apply)(const rw_state_space_column *column, const real *power, bool transpose,
                  const real *x, real *y);
} rw_recurrence;

/* The attributes of the op, from the configuration. */
typedef struct {
    const rw_recurrence *recurrence;
    int state;             /* N */
    double dt_min, dt_max; /* initial steps, log-uniform */
} rw_state_space;

/* Callbacks of a rw_op, for every family. */
rw_status rw_state_space_shape(const rw_node *node, int *out_width);
rw_status rw_state_space_sizes(rw_node *node);
void rw_state_space_prepare(const rw_node *node, const real *const *param, real *derived, int begin,
                            int end, real *scratch);
void rw_state_space_forward(const rw_call *call);
void rw_state_space_backward(const rw_call *call);
void rw_state_space_step(const rw_call *call);
void rw_state_space_summary(const rw_call *call);
void rw_state_space_adjoint(const rw_call *call);
void rw_state_space_advance(const rw_node *node, const real *derived, const real *transition,
                            int level, bool transpose, int begin, int end, const real *x,
                            const real *b, real *y);

/* Operations of forward and summary, a token and channel, from the operations of the recurrence in
 * both. */
double rw_state_space_flops(const rw_node *node, int rows, double recurrence);

/* Channels [*first, *last) of slices [begin, end). */
void rw_state_space_channels(const rw_node *node, int begin, int end, int *first, int *last);

/* Keys of a block, and their values. */
extern const rw_key rw_state_space_keys[];
rw_status rw_state_space_options(const rw_config *config, rw_state_space *options);

/* Adds log_dt, C (normal with deviation `deviation`) and skip to the graph. */
rw_status rw_state_space_params(rw_graph *graph, const rw_state_space *options, int width,
                                double deviation, int *params);

/* The block around the op, after the gated state-space layers of the field:
 *   [u | z] = in(x),   y = out(gelu(state space(u)) * silu(z))
 * in: D -> 2 D, out: D -> D with bias. `add` adds a family's op on u. */
rw_status rw_state_space_block(rw_graph *graph, const rw_state_space *options, rw_value x,
                               rw_status (*add)(rw_graph *graph, const rw_state_space *options,
                                                rw_value u, rw_value *y),
                               rw_value *y);

/* The callbacks of a descriptor rw_op that all families share. */
#define RW_STATE_SPACE_CALLBACKS                                                                   \
    .promises = {.keeps_in = 1, .in_place = 1}, .shape = rw_state_space_shape,                     \
    .sizes = rw_state_space_sizes, .prepare = rw_state_space_prepare,                              \
    .forward = rw_state_space_forward, .backward = rw_state_space_backward,                        \
    .step = rw_state_space_step, .tree = &(const rw_tree_carry)                                    \
    {                                                                                              \
        .summary = rw_state_space_summary, .adjoint = rw_state_space_adjoint,                      \
        .advance = rw_state_space_advance                                                          \
    }

#endif
