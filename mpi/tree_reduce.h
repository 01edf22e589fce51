/* Sums over the chunk tree across ranks.
 *
 * Each rank brings the maximal nodes of its own leaves. The vector is cut into
 * one slice a rank; every rank gets its slice of all nodes (all-to-all),
 * evaluates the rest of the tree on it, and hands the sum to all (all-gather).
 * A sum goes on beside computation, as far as rw_reduction_progress is called:
 * MPI makes none on its own (docs/decisions/0012-overlap.md).
 *
 * Predicted volume sent by a rank that has m nodes of n elements, P ranks:
 * (m + 1) n (P-1)/P elements. Where dp splits the batch at powers of two and
 * sp = 1, m = 1: the volume of a ring all-reduce. With sp > 1, m is the number
 * of the rank's sequences (times the nodes of its range of chunks). Slices
 * differ by one element where P does not divide n. */
#ifndef RW_TREE_REDUCE_H
#define RW_TREE_REDUCE_H

#include "mpi/layout.h"
#include "mpi/tree.h"

typedef struct rw_reduction rw_reduction;

/* Sums that may be in flight at once. */
enum { RW_REDUCTIONS = 2 };

/* Plans sums over `tree` on `layout`; `longest` is the largest vector. Each
 * rank holds sequences rw_split(tree.sequences, dp) and chunks rw_split(tree.chunks, sp),
 * at least one of each (the plan refuses layouts with more ranks).
 * Not collective; allocates all that sums need. Error: a slice of `longest` is
 * more than one message holds. */
rw_status rw_reduction_new(const rw_layout *layout, const rw_tree *tree, size_t longest,
                           rw_reduction **out);
void rw_reduction_destroy(rw_reduction **reduction);

/* Number of maximal nodes of this rank. */
int rw_reduction_nodes(const rw_reduction *reduction);

/* Begins a sum; fewer than RW_REDUCTIONS may be in flight. node[i] (n reals) is
 * this rank's i-th maximal node in order of leaves. All of them belong to the
 * reduction until the sum is finished; then node[0] is the total, on every rank,
 * and the others are as before. Collective over layout->world: all ranks
 * start and finish the same sums in the same order, whatever else they call in
 * between; but of all reductions on a layout one alone has sums in flight. */
void rw_reduction_start(rw_reduction *reduction, size_t n, real *const *node);

/* Moves on what is in flight without waiting. Not collective: each rank calls it
 * when and as often as it likes, from the thread that calls MPI. */
void rw_reduction_progress(rw_reduction *reduction);

/* Waits for the sum that was started first. */
void rw_reduction_finish(rw_reduction *reduction);

/* Number of sums that are started and not finished. */
int rw_reduction_in_flight(const rw_reduction *reduction);

/* What this rank sends for a sum of n reals, in bytes. Not collective. */
size_t rw_reduction_bytes(const rw_reduction *reduction, size_t n);

/* The sum of one double a chunk: leaf (local sequences, local chunks) dense.
 * Collective over layout->world; every rank gets the total. A rank sends its m
 * nodes to each other one: (P-1) m doubles. */
double rw_reduction_scalar(rw_reduction *reduction, const double *leaf);
size_t rw_reduction_scalar_bytes(const rw_reduction *reduction);

#endif
