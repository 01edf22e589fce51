/* Shift by one chunk across ranks: what a chunk hands to its right neighbour
 * (a short convolution's halo), and its gradient back to the left one.
 * Volume sent by a rank: S state reals, S its sequences; nothing by the last
 * rank (mirrored: the first). */
#ifndef RW_SHIFT_H
#define RW_SHIFT_H

#include <stdbool.h>

#include "mpi/layout.h"
#include "tensor/real.h"

/* Collective over layout->sp_comm. part (sequences, local, state): of each
 * local chunk. out, same shape: out of chunk c is part of chunk c-1 (mirrored:
 * of chunk c+1). Chunk 0's (mirrored: the last's) is not written. buffer:
 * 2 * sequences * state reals. */
void rw_shift_run(const rw_layout *layout, long sequences, long local, size_t state, bool mirrored,
                  const real *part, real *out, real *buffer);
/* What this rank sends in such a run, in bytes. Not collective. */
size_t rw_shift_bytes(const rw_layout *layout, long sequences, size_t state, bool mirrored);

#endif
