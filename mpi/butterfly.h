/* Pairwise exchanges of a transform over the ranks that share sequences, without
 * reordering: P = 2^p ranks with equal shares; in split k, 0 <= k < p, rank r and
 * the one that differs from it in bit p-1-k give each other what they hold.
 *
 *   split   0          1          2        rank r ends with block P + r
 *   r 0-7   0-4 1-5    0-2 1-3    0-1      of the heap of halves (block 1 is
 *           2-6 3-7    4-6 5-7    2-3 ...  the whole, 2 b and 2 b + 1 are of b)
 *
 * The way back is the same exchanges, k from p-1 to 0. Predicted volume sent by a
 * rank: p messages each way, each of all that it holds. Not to be confused with
 * an all-to-all, which sends every value once (lane_exchange.h). */
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

/* Collective over the two ranks: gets what the partner gives. Counts bytes. */
void rw_butterfly_swap(const rw_layout *layout, int k, const real *mine, real *theirs,
                       size_t reals);

/* Bytes that this rank sends for one transform, out or back, of real rows: n of
 * them (reals), p exchanges, of which the one next to the rows is of reals and
 * the others of complex numbers. */
double rw_butterfly_bytes(const rw_layout *layout, size_t reals);

#endif
