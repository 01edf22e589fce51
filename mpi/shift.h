/* Shift by one chunk across ranks: the state that a chunk hands to its right neighbour (the halo of
 * a short convolution), and its gradient back to the left neighbour. Volume sent by a rank: S state
 * reals, S its sequences; 0 for the last rank (mirrored: the first). */
#ifndef RW_SHIFT_H
#define RW_SHIFT_H

#include <stdbool.h>

#include "mpi/swap.h"
#include "tensor/real.h"

/* A shift in flight: its arguments and its messages. */
typedef struct {
    const rw_layout *layout;
    long sequences, local;
    size_t state;
    bool mirrored;
    real *out, *received;
    bool flying;
    rw_swap_flight flight;
} rw_shift;

/* Collective over layout->sp_comm: all ranks start and finish the same shifts of a tag (see
 * rw_swap_start) in the same order. part (sequences, local, state): of each local chunk. out, same
 * shape: out of chunk c is part of chunk c-1 (mirrored: of chunk c+1). The out of chunk 0
 * (mirrored: of the last chunk) is not written. After the start, out is complete except for the
 * first local chunk (mirrored: the last), whose value comes from another rank. buffer: 2 *
 * sequences * state reals, in use until the shift is finished; part is free at once. */
void rw_shift_start(rw_shift *shift, const rw_layout *layout, int tag, long sequences, long local,
                    size_t state, bool mirrored, const real *part, real *out, real *buffer);
/* Moves the shift on without waiting; waits for the shift. */
void rw_shift_progress(rw_shift *shift);
void rw_shift_finish(rw_shift *shift);
/* Both. */
void rw_shift_run(const rw_layout *layout, long sequences, long local, size_t state, bool mirrored,
                  const real *part, real *out, real *buffer);
/* Bytes that this rank sends in such a run. Not collective. */
size_t rw_shift_bytes(const rw_layout *layout, long sequences, size_t state, bool mirrored);

#endif
