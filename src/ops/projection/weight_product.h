/* The products of a weight W (out, in), parameter 0 of a node, with rows of a chunk, in the
 * precision of the node. For ops with a weight: linear, and losses with an output projection. */
#ifndef RW_WEIGHT_PRODUCT_H
#define RW_WEIGHT_PRODUCT_H

#include "graph/op.h"

/* Part of the op's `sizes`: sets node->size.derived, for W packed (kernels/panel_product.h) or
 * rounded, and node->size.slices. */
void rw_weight_product_sizes(rw_node *node);
/* The op's `prepare`: packs or rounds W, once a step for all chunks. */
void rw_weight_product_prepare(const rw_node *node, const real *const *param, real *derived,
                               int begin, int end, real *scratch);

/* The op's `bytes`: counts the copy of W that the products read. */
double rw_weight_product_bytes(const rw_node *node, int rows, bool backward);

/* Reals of working memory for products with up to `rows` rows; 0 for float32. */
size_t rw_weight_product_room(const rw_node *node, int rows);

/* y = x W^T, or with `add` y + x W^T: x (rows, in), y (rows, out). */
void rw_weight_product(const rw_call *call, int rows, const real *x, int ldx, bool add, real *y,
                       int ldy, real *room);

/* dx = dy W, or with `add` dx + dy W, unless dx is NULL; and unless call->back.discards,
 * dW += dy^T x into call->back.dparam[0]. x, dx (rows, in); dy (rows, out). */
typedef struct {
    int rows;
    const real *x, *dy;
    int ldx, lddy;
    real *dx;
    int lddx;
    bool add;
} rw_weight_gradient;
void rw_weight_product_backward(const rw_call *call, const rw_weight_gradient *gradient,
                                real *room);

#endif
