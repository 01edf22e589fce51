/* Shift by one chunk across ranks: what a chunk hands to its right neighbour
 * (a short convolution's halo), and its gradient back to the left one.
 * Volume sent by a rank: S state reals, S its sequences; nothing by the last
 * rank (mirrored: the first). */
#ifndef RW_SHIFT_H
#define RW_SHIFT_H

#include <stdbool.h>

#include "mpi/swap.h"
#include "tensor/real.h"

/* One in flight; what it was started with, and its messages. */
typedef struct {
    const rw_layout *layout;
    long sequences, local;
    size_t state;
    bool mirrored;
    real *out, *received;
    bool flying;
    rw_swap_flight flight;
} rw_shift;

/* Collective over layout->sp_comm: all ranks start and finish the same shifts of
 * one tag (see rw_swap_start) in the same order. part (sequences, local, state): of each
 * local chunk. out, same shape: out of chunk c is part of chunk c-1 (mirrored:
 * of chunk c+1). Chunk 0's (mirrored: the last's) is not written. After the start,
 * out is complete but for what comes from another rank: the first local chunk's
 * (mirrored: the last's). buffer: 2 * sequences * state reals, the shift's until it
 * is finished; part is free at once. */
void rw_shift_start(rw_shift *shift, const rw_layout *layout, int tag, long sequences, long local,
                    size_t state, bool mirrored, const real *part, real *out, real *buffer);
/* Moves it on without waiting, and waits for it. */
void rw_shift_progress(rw_shift *shift);
void rw_shift_finish(rw_shift *shift);
/* Both. */
void rw_shift_run(const rw_layout *layout, long sequences, long local, size_t state, bool mirrored,
                  const real *part, real *out, real *buffer);
/* What this rank sends in such a run, in bytes. Not collective. */
size_t rw_shift_bytes(const rw_layout *layout, long sequences, size_t state, bool mirrored);

#endif
