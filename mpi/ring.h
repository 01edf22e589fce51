/* A ring over the ranks that share sequences: a block of rows of each rank travels
 * from neighbour to neighbour. So every rank sees the blocks of all ranks before
 * (upward) or after (downward) the rank, the nearest first, one block at a time.
 *
 *   upward   hop 0   rank 0: a      rank 1: b      rank 2: c      rank 3: d
 *            hop 1                          a              b              c
 *            hop 2                                         a              b
 *            hop 3                                                        a
 *
 * A message holds only the rows of a block that the receiver, or a rank farther along,
 * needs. A block travels no farther than needed. A rank needs neighbouring rows; of any
 * block, a rank farther along needs a part of these rows. With a window shorter than the
 * rows of a rank the ring is the exchange of a halo: one hop, with as many rows.
 *
 * While a block is used, the next block is received. Predicted volume sent by a rank:
 * rw_ring_volume. */
#ifndef RW_RING_H
#define RW_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/layout.h"
#include "tensor/real.h"

typedef struct {
    const rw_layout *layout;
    const rw_range *rows; /* (sp): the rows of each rank of sp_comm, in order */
    const rw_range *need; /* (sp): the rows that each rank shall see, its own rows included; begin
                             (upward) or end (else) never decreases from rank to rank */
    size_t width;         /* reals of a row */
    bool upward;
} rw_ring;

/* Uses a block: `rows` of the sequence, block (rows, width). */
typedef void (*rw_ring_visit)(void *context, rw_range rows, const real *block);

/* Calls visit on the block of this rank, then on each needed block, the nearest first. block[0]
 * (rows, width): the block of this rank, overwritten; block[1]: room for another block. Both have
 * room for the rows of any rank. Collective over layout->sp_comm; `rows`, `need`, `width` and
 * `upward` are the same on every rank. */
void rw_ring_run(const rw_ring *ring, real *const block[2], rw_ring_visit visit, void *context);

/* Reals that rank `rank` sends in a run. With equal ranges of R rows, where each rank needs all
 * rows before its own (upward): (rank + 1) R width, and 0 for the last rank. */
double rw_ring_volume(const rw_ring *ring, int rank);

#endif
