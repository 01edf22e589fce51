/* The chunk tree: one canonical binary tree over the chunks of the sequences of
 * a step. All values that cross chunks are combined along this tree, so the
 * result has the same bits on every layout.
 *
 * Leaves are chunks; leaf number of chunk c of sequence b is b * 2^k + c, where
 * 2^k >= chunks: each sequence is a tree of its own, the batch a tree over
 * those. Node (level, index) covers leaves [index 2^level, (index+1) 2^level).
 * Missing leaves are the identity: a node whose right child is empty
 * is its left child.
 *
 *                 (2,0)
 *             (1,0)   (1,1)          level 1
 *            0    1   2    3         leaves
 *
 * A set of leaves taken in increasing order is summed with a stack, as in a
 * binary counter: two neighbouring siblings on top are combined at once. What
 * remains are the maximal nodes of the set. */
#ifndef RW_TREE_H
#define RW_TREE_H

#include <stdbool.h>

#include "base/status.h"
#include "tensor/real.h"

typedef struct {
    long sequences, chunks;
    int inner;  /* log2 of the leaves set aside for one sequence */
    int levels; /* the root is node (levels, 0) */
} rw_tree;

rw_tree rw_tree_of(long sequences, long chunks);
static inline long rw_tree_leaf(const rw_tree *tree, long sequence, long chunk)
{
    return (sequence << tree->inner) + chunk;
}
/* Does no leaf of the tree lie in node (level, index)? */
bool rw_tree_empty(const rw_tree *tree, int level, long index);

typedef struct {
    int level;
    long index;
    int slot; /* where the caller keeps the node's value */
} rw_tree_node;

#define RW_TREE_MAX_DEPTH 4096

/* Nodes waiting for their right neighbours, in increasing order of leaves. */
typedef struct {
    rw_tree_node *node;
    int depth, capacity;
} rw_tree_stack;

/* Adds a node (a leaf: level 0) to the right of all others and combines finished siblings: for each
 * combination calls combine(context, left, right); then slot `left` holds the sum and slot `right`
 * is free. The stack must have room for one more node. Deterministic. Not collective. */
void rw_tree_push(const rw_tree *tree, rw_tree_stack *stack, rw_tree_node node,
                  void (*combine)(void *context, int left, int right), void *context);

/* The largest depth (the node being pushed included) and the final depth of a stack, if the leaves
 * of sequences [b0, b1) x chunks [c0, c1) are pushed. */
typedef struct {
    int peak, final;
} rw_tree_depth;
rw_tree_depth rw_tree_stack_depth(const rw_tree *tree, long b0, long b1, long c0, long c1);

#endif
