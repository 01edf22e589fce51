#include "mpi/fold.h"

#include <assert.h>
#include <stdbool.h>

void rw_fold_start(rw_fold *fold, long begin, long end)
{
    assert(begin < end);
    fold->begin = begin;
    fold->end = end;
    fold->depth = 0;
}

/* Does node (level, index) hold none of the leaves? */
static bool is_empty(const rw_fold *fold, int level, long index)
{
    return index << level >= fold->end || (index + 1) << level <= fold->begin;
}

static bool is_all(const rw_fold *fold, int level, long index)
{
    return index << level <= fold->begin && (index + 1) << level >= fold->end;
}

void rw_fold_push(rw_fold *fold, long leaf,
                  void (*combine)(void *context, int left, int right, int out), void *context)
{
    int level = 0, slot = fold->depth;
    long index = leaf;
    assert(leaf >= fold->begin && leaf < fold->end && slot < RW_FOLD_DEPTH);
    while (!is_all(fold, level, index)) {
        if (!is_empty(fold, level, index ^ 1)) {
            int top = slot - 1;
            if (top < 0 || fold->level[top] != level || fold->index[top] != (index ^ 1)) break;
            combine(context, index & 1 ? top : slot, index & 1 ? slot : top, top);
            slot = top;
        }
        level++;
        index >>= 1;
    }
    fold->level[slot] = level;
    fold->index[slot] = index;
    fold->depth = slot + 1;
}

/* Waiting nodes differ in level, and all lie below the node that holds the range. */
int rw_fold_slots(long leaves)
{
    int levels = 0;
    while ((1L << levels) < leaves) levels++;
    return levels + 1;
}
