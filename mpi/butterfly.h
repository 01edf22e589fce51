/* Pairwise exchanges of a transform over the ranks that share sequences, without
 * reordering. P = 2^p ranks have equal shares. In split k, 0 <= k < p, two ranks whose
 * numbers differ only in bit p-1-k exchange their shares.
 *
 *   split   0          1          2        rank r ends with block P + r
 *   r 0-7   0-4 1-5    0-2 1-3    0-1      of the heap of halves (block 1 is
 *           2-6 3-7    4-6 5-7    2-3 ...  the whole, 2 b and 2 b + 1 are of b)
 *
 * The way back is the same exchanges, k from p-1 to 0. Predicted volume sent by a
 * rank: p messages each way, each with the whole share. An all-to-all
 * (slab_exchange.h) sends every value only once. */
#ifndef RW_BUTTERFLY_H
#define RW_BUTTERFLY_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/layout.h"
#include "tensor/real.h"

/* p, or -1 if the number of ranks that share a sequence is no power of two. */
int rw_butterfly_splits(const rw_layout *layout);
/* In split k: is this rank of the upper half, and of which block? */
bool rw_butterfly_upper(const rw_layout *layout, int k);
long rw_butterfly_block(const rw_layout *layout, int k);

/* Collective over the two ranks: receives the share of the partner. Counts bytes. */
void rw_butterfly_swap(const rw_layout *layout, int k, const real *mine, real *theirs,
                       size_t reals);

/* Bytes that this rank sends for one transform, out or back, of `reals` reals: p
 * exchanges. The exchange next to the rows sends reals; all others send complex
 * numbers. */
double rw_butterfly_bytes(const rw_layout *layout, size_t reals);

#endif
