/* Halos: the rows of each sequence just before, or just after, the rows of a rank.
 * A halo is a copy of rows of one neighbour, or of several ranks if the neighbour
 * holds fewer rows than the halo:
 *
 *   rows      |  rank 0  | 1 | 2 |   rank 3   |
 *   before           <---reach---|              rows for rank 3, from ranks 0, 1 and 2
 *   after                    |---reach--->      rows for rank 1, from ranks 2 and 3
 *
 * An op whose output looks `reach` rows back needs the halo `before` of its
 * input, and for the gradient of its input the halo `after` of its output's
 * gradient. Each rank then computes the whole gradient of its own rows, in an
 * order that does not depend on the layout. No sum crosses ranks, so no sum
 * depends on the ranges of the ranks. */
#ifndef RW_HALO_H
#define RW_HALO_H

#include <stddef.h>

#include "mpi/span.h"
#include "tensor/real.h"

typedef enum { RW_HALO_BEFORE, RW_HALO_AFTER } rw_halo_side;

/* Must agree on all ranks of layout->sp_comm. */
typedef struct {
    const rw_span *span;
    rw_halo_side side;
    long reach; /* rows, >= 1; any number */
    int width;  /* reals of a row */
} rw_halo;

/* Reals of workspace for one exchange of up to span->most sequences: a multiple
 * of RW_ALIGNMENT bytes, so that several may stand in a row. Not collective. */
size_t rw_halo_workspace(const rw_halo *halo);

/* Predicted volume: bytes that rank `sp_rank` of sp_comm sends in one exchange,
 * and rw_comm_count counts. Where every rank holds `reach` rows, it is
 * sequences * reach * width reals, and none for the last rank (after: the first).
 * Not collective. */
double rw_halo_bytes(const rw_halo *halo, int sp_rank);

/* Collective over layout->sp_comm. Begins to exchange rows of x: row r of
 * sequence b is the `width` reals at (b * span->stride + r) * ld. x may change as
 * soon as the call returns; the workspace (aligned as rw_alloc does) belongs to
 * the exchange until it is finished. Several may be in flight, each with a
 * workspace of its own; all ranks start them in the same order. */
void rw_halo_start(const rw_halo *halo, const real *x, int ld, real *workspace);

/* Waits for the exchange that was started with the same halo and workspace. out
 * (sequences, reach, width), dense: row i is the token that is reach - i before
 * this rank's first (after: i + 1 behind its last); zero where the sequence has
 * none. */
void rw_halo_finish(const rw_halo *halo, real *out, real *workspace);

#endif
