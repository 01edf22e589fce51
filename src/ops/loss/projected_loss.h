/* Losses with an output projection. The scores of a row are x W^T, where W is parameter 0 of the
 * node. Scores exist for a block of rows at a time, never for a whole chunk of a large vocabulary.
 * Rows without a target take no part in products: their loss and their gradient are zero. Rows with
 * a target are copied to a dense block first, unless they are neighbours. So the blocks of a chunk
 * depend on its targets alone, on any layout. */
#ifndef RW_PROJECTED_LOSS_H
#define RW_PROJECTED_LOSS_H

#include "graph/op.h"

typedef struct {
    /* Has row t of the call a target? */
    bool (*counts)(const rw_call *call, int t);
    /* The loss of row t. Overwrites the scores of the row with their gradient times
     * call->loss.scale. */
    double (*row_loss)(const rw_call *call, int t, real *scores);
    /* Backward: adds the gradient of a row's scores to further parameters. NULL: none. */
    void (*row_backward)(const rw_call *call, const real *gradient);
} rw_projected_loss;

/* rw_op.shape. Error: RW_USAGE if W does not fit the input. */
rw_status rw_projected_loss_shape(const rw_node *node, int *out_width);
rw_status rw_projected_loss_sizes(rw_node *node);

/* rw_op.forward: the sum of the losses, and call->loss.rows where wanted. */
void rw_projected_loss_forward(const rw_projected_loss *loss, const rw_call *call);

/* rw_op.backward: the same, then for gradients P of the scores dx = P W and dW += P^T x. */
void rw_projected_loss_backward(const rw_projected_loss *loss, const rw_call *call);

#endif
