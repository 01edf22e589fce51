/* Sums over the chunk tree across ranks.
 *
 * Each rank brings the maximal nodes of its own leaves. The vector is cut into
 * one slice a rank; every rank gets its slice of all nodes (all-to-all),
 * evaluates the rest of the tree on it, and hands the sum to all (all-gather).
 *
 * Predicted volume sent by a rank that has m nodes of n elements, P ranks:
 * (m + 1) n (P-1)/P elements. Where dp splits the batch at powers of two and
 * sp = 1, m = 1: the volume of a ring all-reduce. With sp > 1, m is the number
 * of the rank's sequences (times the nodes of its range of chunks). */
#ifndef RW_TREE_REDUCE_H
#define RW_TREE_REDUCE_H

#include "mpi/layout.h"
#include "mpi/tree.h"

typedef struct rw_reduction rw_reduction;

/* Plans sums over `tree` on `layout`; `longest` is the largest vector. Each
 * rank holds sequences rw_split(tree.sequences, dp) and chunks rw_split(tree.chunks, sp).
 * Not collective; allocates all that rw_reduction_run needs. */
rw_status rw_reduction_new(const rw_layout *layout, const rw_tree *tree, size_t longest,
                           rw_reduction **out);
void rw_reduction_destroy(rw_reduction **reduction);

/* Number of maximal nodes of this rank. */
int rw_reduction_nodes(const rw_reduction *reduction);

/* Collective over layout->world. node[i] (n reals) is this rank's i-th maximal
 * node in order of leaves; out (n reals) receives the total on every rank; out
 * may be node[0]. node[] may be overwritten. */
void rw_reduction_run(rw_reduction *reduction, size_t n, real *const *node, real *out);

/* The sum of one double a chunk: leaf (local sequences, local chunks) dense.
 * Collective over layout->world; every rank gets the total. */
double rw_reduction_scalar(rw_reduction *reduction, const double *leaf);

#endif
