/* Gated recurrences as an op with a sequence carry, shared by `lstm` and `gru`.
 *
 *   state_t = cell(in_t, U h_{t-1} + b, state_{t-1})     per sequence, token by token
 *
 * in (rows, G H) is the projected input, computed for whole chunks by a linear op before this op;
 * U (G H, H) is the recurrent weight. The state is h, of width H; in some cells also a memory c,
 * from which the cell computes h. The recurrence is not linear: its carry is a sequence carry.
 * Saved for each row:
 *
 *   | kept: K planes of H | memory: H, c or else h |
 *
 * kept: the saved activations of the cell. Before the cell runs, the first G planes hold `in`, and
 * may be the place of `in` (saves_in_place). adjoint replaces the first G planes of kept by the
 * gradients of `in`, the last G planes by the gradients of U h + b, and c by h. The gradient of U
 * is then one matrix product over the chunk. U is packed once a step, for both directions
 * (kernels/packed_product.h), and read once for several sequences.
 *
 * A team of threads shares the units. Each thread has its own columns of U in its cache. All
 * threads wait for one another once a token, when h (backward: the gradient of U h) is complete.
 *
 * A family of recurrences is a rw_cell: the elementwise part of one token. */
#ifndef RW_GATED_CELL_H
#define RW_GATED_CELL_H

#include "base/config.h"
#include "graph/layers.h"

/* Parameters of the op; the bias (1, H), of the last plane of U h, is optional. */
enum { RW_CELL_WEIGHT, RW_CELL_BIAS, RW_CELL_MAX_PARAMS };

/* All arrays hold planes of `hidden` reals. A call works on the first `units` of each plane: a
 * thread of a team passes pointers to its own units. */
typedef struct {
    int gates, kept, states; /* G <= K; 1: the state is h, 2: h and c */
    /* before: the memory before the token. kept: holds `in`, becomes the kept planes. after, h: the
     * memory and h after the token. Arrays are disjoint. */
    void (*forward)(int hidden, int units, const real *product, const real *before, real *kept,
                    real *after, real *h);
    /* Computes h from the saved planes, with the bits of forward. */
    void (*output)(int hidden, int units, const real *kept, const real *after, real *h);
    /* kept, after: see above. dstate: the gradient of the state after the token; becomes the
     * gradient of the state before the token, without the term through the product. */
    void (*backward)(int hidden, int units, const real *before, real *kept, real *after,
                     real *dstate);
} rw_cell;

/* The attributes of the op. */
typedef struct {
    const rw_cell *cell;
    int hidden; /* H */
} rw_gated_cell;

/* Callbacks of a rw_op, for every cell. */
rw_status rw_gated_cell_shape(const rw_node *node, int *out_width);
rw_status rw_gated_cell_sizes(rw_node *node);
void rw_gated_cell_prepare(const rw_node *node, const real *const *param, real *derived, int begin,
                           int end, real *scratch);
void rw_gated_cell_summary(const rw_call *calls, int count);
void rw_gated_cell_forward(const rw_call *call);
void rw_gated_cell_adjoint(const rw_call *calls, int count);
void rw_gated_cell_backward(const rw_call *call);
void rw_gated_cell_step(const rw_call *call);
double rw_gated_cell_flops(const rw_node *node, int rows);

/* Keys of a block. */
extern const rw_key rw_gated_cell_keys[];

/* The block: y = out(recurrence(in(x))), in: D -> G H with bias, out: H -> D. */
typedef struct {
    const rw_op *op;
    const rw_cell *cell;
    bool bias; /* of the last plane of U h */
    void (*in_bias)(const rw_param *param, rw_random stream, real *out); /* NULL: zero */
} rw_gated_block;
/* rw_op.sample: projected x, then the recurrence with half as many units as x has columns. */
rw_status rw_gated_cell_sample(rw_graph *graph, const rw_gated_block *block, rw_value x,
                               rw_value *y);
rw_status rw_gated_cell_build(rw_graph *graph, const rw_config *config, const rw_gated_block *block,
                              rw_value x, rw_value *y);

/* The callbacks of a descriptor rw_op that all cells share. */
#define RW_GATED_CELL_CALLBACKS                                                                    \
    .promises = {.saves_in_place = true}, .shape = rw_gated_cell_shape,                            \
    .sizes = rw_gated_cell_sizes, .prepare = rw_gated_cell_prepare,                                \
    .forward = rw_gated_cell_forward, .backward = rw_gated_cell_backward,                          \
    .step = rw_gated_cell_step,                                                                    \
    .sequence = &(const rw_sequence_carry){.summary = rw_gated_cell_summary,                       \
                                           .adjoint = rw_gated_cell_adjoint},                      \
    .flops = rw_gated_cell_flops

#endif
