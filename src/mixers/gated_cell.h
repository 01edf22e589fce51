/* Gated recurrences as a sequence op: what `lstm` and `gru` share.
 *
 *   state_t = cell(in_t, U h_{t-1} + b, state_{t-1})     per sequence, token by token
 *
 * in (rows, G H) is the projected input, made for whole chunks by a linear op
 * in front; U (G H, H) the recurrent weight; the state is h, of width H, and in some
 * cells a memory c beside it, of which h is then made. The recurrence is not linear, so
 * it crosses chunks by RW_CARRY_SEQUENCE. Of each row are saved
 *
 *   | kept: K planes of H | memory: H, c or else h |
 *
 * where kept is what the cell wants to see again in backward. Its first G planes hold
 * `in` before that, and may be where `in` lies (saves_in_place). backward replaces kept by
 * gradients: the first G planes by those with respect to `in`, the last G by those with
 * respect to U h + b; and c by h. The gradient of U is then one matrix product
 * over the chunk. U is packed once a step, for both directions
 * (kernels/packed_product.h), and read once for several sequences.
 *
 * A team of threads shares the units: each has the columns of U of its own in its
 * cache, and all wait for one another once a token, when h (backward: the gradients
 * of U h) is complete.
 *
 * A family of recurrences is a rw_cell: the elementwise part of one token. */
#ifndef RW_GATED_CELL_H
#define RW_GATED_CELL_H

#include "base/config.h"
#include "graph/layers.h"

/* Parameters of the op; the bias (1, H), of the last plane of U h, is optional. */
enum { RW_CELL_WEIGHT, RW_CELL_BIAS, RW_CELL_MAX_PARAMS };

/* All arrays hold planes of `hidden` reals, of which the first `units` are treated: a
 * thread of a team is given its own (pointers to the first of them). */
typedef struct {
    int gates, kept, states; /* G <= K; 1: the state is h, 2: h and c */
    /* before: the memory before the token. kept: holds `in`, becomes what is kept; after,
     * h: the memory and h after the token. Arrays are disjoint. */
    void (*forward)(int hidden, int units, const real *product, const real *before, real *kept,
                    real *after, real *h);
    /* Makes h of what is saved, with the bits that forward gave it. */
    void (*output)(int hidden, int units, const real *kept, const real *after, real *h);
    /* kept, after: see above. dstate: d/d (state after the token); becomes that before it,
     * without what comes by way of the product. */
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

#endif
