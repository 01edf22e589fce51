/* Prefixes over the chunk tree: states handed from chunk to chunk by a linear
 * recurrence  h_{c+1} = A_c h_c + b_c,  h_0 = 0 or given, and its mirror image for
 * gradients  g_c = A_{c+1}^T g_{c+1} + r_{c+1},  g_{C-1} = 0.
 *
 * The prefix of chunk c is evaluated as the canonical tree demands: with
 * k = number of trailing zero bits of c, node (k, c/2^k - 1) is the last of the
 * maximal nodes of chunks [0, c), and
 *     prefix(c) = A_node prefix(c - 2^k) + b_node,  prefix(0) = h_0.
 * The state after all C chunks is prefix(C), on the rank of the last chunk.
 * The mirror image: with e = c + 1 and k its trailing zero bits,
 *     suffix(c) = A_node^T suffix(e + 2^k - 1) + r_node,  node (k, e/2^k).
 *
 * Where a document begins in chunk c, nothing before it may reach beyond: the
 * chunk is cut, A_c = 0. A node that holds a cut chunk is cut.
 *
 * Under sequence parallelism the ranks of layout->sp_comm exchange nodes by
 * recursive doubling. Before turn r, each rank has the maximal nodes of 2^r ranks. In
 * turn r, ranks whose numbers differ only in bit r swap these nodes, and combine
 * both sets to the maximal nodes of 2^(r+1) ranks. Nodes that the receiver does not need
 * are not sent: mostly, nodes go to the right only (mirrored: to the left). After
 * ceil(log2 P) turns every rank has the nodes of all chunks to its left. All are nodes
 * of the canonical tree, on whichever rank they were combined.
 *
 * Predicted volume sent by a rank: at most ceil(log2 P) m S (transition + state + 1)
 * reals, m <= 2 log2(chunks) the maximal nodes of the ranges sent, S its
 * sequences. Where the ranges are aligned (P and the chunks of a rank powers of
 * two), m = 1; rank 0 sends in every turn, the last rank (mirrored: the other
 * way round) never. docs/decisions/0013-scan-by-doubling.md has the figures. */
#ifndef RW_TREE_SCAN_H
#define RW_TREE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/layout.h"
#include "mpi/tree.h"

/* The arithmetic of the affine map: see rw_tree_carry. Any monoid is possible: advance combines the
 * values before, x, with b (mirrored: the values after), so with transition = 0 also sums or the
 * (m, l, o) of online softmax. */
typedef struct {
    size_t transition, state; /* reals a chunk */
    int slices;
    const void *context;
    void (*advance)(const void *context, const real *transition, int level, bool transpose,
                    int begin, int end, const real *x, const real *b, real *y);
    void (*compose)(const void *context, const real *left, const real *right, real *out);
} rw_affine;

typedef struct rw_scan rw_scan;

/* Plans scans over `chunks` chunks of up to `sequences` local sequences, forward and mirrored, for
 * affine maps of at most `transition` + `state` reals; whole: forward scans may be asked for the
 * state after the last chunk. The scans of a plan come one after another; scans of different tags
 * (see rw_swap_start) may be in flight at once. Not collective. */
rw_status rw_scan_new(const rw_layout *layout, int tag, long sequences, long chunks,
                      size_t transition, size_t state, bool whole, rw_scan **out);
void rw_scan_destroy(rw_scan **scan);

/* The states at the ends of the sequences, (sequences, affine->state) each. */
typedef struct {
    const real *initial; /* before chunk 0, the same on every rank; NULL: zero */
    real *final; /* after the last chunk: written by the rank that holds it; NULL: not wanted */
} rw_scan_ends;

/* Collective over layout->sp_comm. transition (sequences, local chunks, affine->transition): of
 * each local chunk; part (sequences, local chunks, affine->state): b (or r, mirrored). out, same
 * shape as part: the state at the start of each chunk (mirrored: the gradient at its end). States
 * that are zero by definition (chunk 0; mirrored the last chunk) are not written. transition and
 * part of the last chunk (mirrored: part of the first) are not read, except by a forward scan
 * planned as `whole`. cut (sequences, local chunks): 1: the chunk is cut; NULL: no chunk. ends:
 * forward only; NULL: the initial state is zero, the final state not wanted. */
void rw_scan_start(rw_scan *scan, const rw_affine *affine, long sequences, bool mirrored,
                   const uint8_t *cut, const rw_scan_ends *ends, const real *transition,
                   const real *part, real *out);
/* Moves a started scan on without waiting, if there is one; from the thread that calls MPI. */
void rw_scan_progress(rw_scan *scan);
/* Waits for the scan. Arrays are in use until then. */
void rw_scan_finish(rw_scan *scan);
/* Both. */
void rw_scan_run(rw_scan *scan, const rw_affine *affine, long sequences, bool mirrored,
                 const uint8_t *cut, const rw_scan_ends *ends, const real *transition,
                 const real *part, real *out);
/* Bytes that this rank sends in such a run. Not collective. */
size_t rw_scan_bytes(const rw_scan *scan, const rw_affine *affine, long sequences, bool mirrored);

#endif
