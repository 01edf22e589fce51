/* The two ways in which ranks share a long convolution (long_convolution.c), with
 * the same bits. u, h and y are (sequences, rows of the rank, D); dy, du, dh too.
 *
 *   channels   all-to-all: every rank gets all rows of some channels. Any
 *              number of ranks, any length, documents.
 *   transform  the ranks of a sequence share each transform (butterfly.h):
 *              2^p ranks with equal shares of a sequence of 2^q tokens that is
 *              one document.
 *
 * Reals that a rank sends, S sequences, P ranks, 3 values in forward and 5 in
 * backward: channels S L D (P-1)/P^2 a value, transform (2 log2 P - 1) S L D / P,
 * D rounded up to whole groups. All functions that take a call are collective
 * over span.layout->sp_comm. */
#ifndef RW_LONG_PATHS_H
#define RW_LONG_PATHS_H

#include "graph/op.h"

enum { RW_LONG_INPUT, RW_LONG_FILTER, RW_LONG_INPUTS };

/* Channels of a slab, which are exchanged and transformed together: the largest divisor of the
 * width up to RW_CONV_GROUP. The choice of slabs changes no bit. */
int rw_long_slab_width(int width);

/* Slabs of a round: of `slabs` slabs of a rank in each of `sequences`, the number in work at once
 * if ranks share sequences. Enough for all threads and for messages of a good size; more would take
 * more memory. The same on all ranks. */
int rw_long_slabs_at_once(const rw_span *span, long sequences, int slabs, int width);

size_t rw_long_channels_workspace(const rw_node *node, const rw_span *span);
void rw_long_channels_forward(const rw_global *call);
void rw_long_channels_backward(const rw_global *call);

/* Can the ranks share transforms? */
bool rw_long_transform_fits(const rw_span *span);
size_t rw_long_transform_workspace(const rw_node *node, const rw_span *span);
void rw_long_transform_forward(const rw_global *call);
void rw_long_transform_backward(const rw_global *call);

/* Fills the table for sequences of this length, with the threads of the rank. */
void rw_long_set_table(const rw_span *span, real *table);

#endif
