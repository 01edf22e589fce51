/* Sums over the chunk tree across ranks. Each rank brings the maximal nodes of its own leaves. The
 * vector is cut into a slice for each rank. Every rank gets its slice of all nodes (all-to-all),
 * evaluates the rest of the tree on the slice, and sends the sum to all (all-gather). A sum moves
 * on beside computation only when rw_reduction_progress is called: MPI has no thread for it
 * (docs/decisions/0012-overlap.md). Predicted volume sent by a rank with m nodes of n elements, P
 * ranks: (m + 1) n (P-1)/P elements. If dp splits the batch at powers of two and sp = 1, m = 1: the
 * volume of a ring all-reduce. With sp > 1, m is the number of the rank's sequences (times the
 * nodes of its range of chunks). Slices differ by an element if P does not divide n. */
#ifndef RW_TREE_REDUCE_H
#define RW_TREE_REDUCE_H

#include "mpi/layout.h"
#include "mpi/tree.h"

typedef struct rw_reduction rw_reduction;

/* Sums that may be in flight at once. */
enum { RW_REDUCTIONS = 2 };

/* Plans sums over `tree` on `layout`; `longest` is the largest vector. Each rank holds sequences
 * rw_split(tree.sequences, dp) and chunks rw_split(tree.chunks, sp), at least one of each (the plan
 * refuses layouts with more ranks). Not collective; allocates all memory of the sums. Error: a
 * slice of `longest` is too large for a message. */
rw_status rw_reduction_new(const rw_layout *layout, const rw_tree *tree, size_t longest,
                           rw_reduction **out);
void rw_reduction_destroy(rw_reduction **reduction);

/* Number of maximal nodes of this rank. */
int rw_reduction_nodes(const rw_reduction *reduction);

/* Begins a sum; fewer than RW_REDUCTIONS may be in flight. node[i] (n reals) is this rank's i-th
 * maximal node in order of leaves. All nodes are in use until the sum is finished; then node[0] is
 * the total, on every rank, and the others are unchanged. Collective over layout->world: all ranks
 * start and finish the same sums in the same order, with any other calls between. Only one
 * reduction on a layout may have sums in flight. */
void rw_reduction_start(rw_reduction *reduction, size_t n, real *const *node);

/* Moves the sums in flight on without waiting. Not collective: each rank calls it at any time, from
 * the thread that calls MPI. */
void rw_reduction_progress(rw_reduction *reduction);

/* Waits for the oldest sum in flight. */
void rw_reduction_finish(rw_reduction *reduction);

/* Number of sums in flight. */
int rw_reduction_in_flight(const rw_reduction *reduction);

/* Bytes that this rank sends for a sum of n reals. Not collective. */
size_t rw_reduction_bytes(const rw_reduction *reduction, size_t n);

/* The sum of a double for each chunk: leaf (local sequences, local chunks) dense. Collective over
 * layout->world; every rank gets the total. A rank sends its m nodes to each other rank: (P-1) m
 * doubles. */
double rw_reduction_scalar(rw_reduction *reduction, const double *leaf);
size_t rw_reduction_scalar_bytes(const rw_reduction *reduction);

#endif
