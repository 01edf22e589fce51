/* Gradients by way of the pairs of tokens of one block of linear attention with decay by
 * channel (kernels/linear_attention_chunk.h): with respect to q', k' and the logarithms of
 * the decays.
 *
 * The pair of t and s gives w_ts = (dy_t.v_s) q'_t k'_s, element by element, to the loss's
 * derivative with respect to the log decay of each token between them, s < r <= t. So
 *
 *   dlog a_r = sum_{t>=r} sum_{s<r} w_ts
 *
 * where S_in counts as a token before all others, and S_out as one behind them. The usual
 * form, the sum over t >= r of q'_t dq'_t - k'_t dk'_t, contains all pairs behind r twice,
 * with both signs: their rounding stays, and where the decay of r is strong, it is much of
 * what is left (docs/decisions/0025-decay-gradients.md). Here no pair enters that does not
 * belong: the block is halved, so that a pair's tokens part company at one of the halvings;
 * then all tokens of the later half see one sum over the earlier half, and the other way
 * round. The remaining pairs lie within a leaf, and are computed pair by pair.
 *
 * Pure loops: no allocation, no I/O. */
#ifndef RW_LINEAR_ATTENTION_PAIRS_H
#define RW_LINEAR_ATTENTION_PAIRS_H

#include "kernels/linear_attention_chunk.h"

#define RW_LINEAR_ATTENTION_LEAF   8 /* tokens */
#define RW_LINEAR_ATTENTION_LEAVES (RW_LINEAR_ATTENTION_BLOCK / RW_LINEAR_ATTENTION_LEAF)

/* A block, borrowed. Rows of panels are K' reals apart, a multiple of RW_LANES. */
typedef struct {
    int rows, key;      /* 1 .. RW_LINEAR_ATTENTION_BLOCK, K' */
    const real *q, *k;  /* (rows, K'): q', k' */
    const real *scores; /* (rows, RW_LINEAR_ATTENTION_BLOCK): dy_t.v_s; read for s <= t */
    real *dq, *dk;      /* (rows, K'): what S_in and S_out give, to which the pairs are added */
    real *dlog;         /* (rows, K'): d loss / d log a, written */
    real *across;       /* (LEAVES, K'): its first row is what S_in gives by way of S_out; the
                         * others are working space, and all are used up */
} rw_linear_attention_pairs;

void rw_linear_attention_pairs_backward(const rw_linear_attention_pairs *block);

#endif
