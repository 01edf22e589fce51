#include "mpi/tree.h"

#include <assert.h>
#include <stddef.h>

static int ceil_log2(long n)
{
    int k = 0;
    while ((1L << k) < n) k++;
    return k;
}

rw_tree rw_tree_of(long sequences, long chunks)
{
    int inner = ceil_log2(chunks);
    return (rw_tree){sequences, chunks, inner, inner + ceil_log2(sequences)};
}

bool rw_tree_empty(const rw_tree *tree, int level, long index)
{
    long first = index << level;
    if ((first >> tree->inner) >= tree->sequences) return true;
    return (first & ((1L << tree->inner) - 1)) >= tree->chunks;
}

void rw_tree_push(const rw_tree *tree, rw_tree_stack *stack, rw_tree_node node,
                  void (*combine)(void *context, int left, int right), void *context)
{
    assert(stack->depth < stack->capacity);
    while (node.level < tree->levels) {
        if (node.index % 2 == 0) {
            if (!rw_tree_empty(tree, node.level, node.index + 1)) break;
        } else {
            rw_tree_node *left = stack->depth ? &stack->node[stack->depth - 1] : NULL;
            if (!left || left->level != node.level || left->index != node.index - 1) break;
            if (combine) combine(context, left->slot, node.slot);
            node.slot = left->slot;
            stack->depth--;
        }
        node.level++;
        node.index /= 2;
    }
    stack->node[stack->depth++] = node;
}

rw_tree_depth rw_tree_stack_depth(const rw_tree *tree, long b0, long b1, long c0, long c1)
{
    rw_tree_node nodes[RW_TREE_MAX_DEPTH];
    rw_tree_stack stack = {nodes, 0, RW_TREE_MAX_DEPTH};
    rw_tree_depth depth = {0, 0};
    for (long b = b0; b < b1; b++)
        for (long c = c0; c < c1; c++) {
            if (stack.depth + 1 > depth.peak) depth.peak = stack.depth + 1;
            rw_tree_push(tree, &stack, (rw_tree_node){0, rw_tree_leaf(tree, b, c), 0}, NULL, NULL);
        }
    depth.final = stack.depth;
    return depth;
}
