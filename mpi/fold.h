/* A sum over a range of leaves on the canonical tree (mpi/tree.h), of leaves that
 * come one after another in increasing or in decreasing order: what a rank does
 * with blocks that reach it from one side, the nearest first.
 *
 * Leaves outside [begin, end) are the identity. So a node whose sibling has none
 * of the range is its parent already, and the order of the combinations depends
 * on the range alone, not on the direction in which the leaves came. */
#ifndef RW_FOLD_H
#define RW_FOLD_H

#define RW_FOLD_DEPTH 48

typedef struct {
    long begin, end;           /* the leaves */
    int depth;                 /* nodes that wait for their siblings */
    int level[RW_FOLD_DEPTH];  /* of the waiting nodes, */
    long index[RW_FOLD_DEPTH]; /* whose values lie in slots 0 .. depth-1 */
} rw_fold;

/* A sum over leaves [begin, end), begin < end, of which none has come. */
void rw_fold_start(rw_fold *fold, long begin, long end);

/* The next leaf, whose value the caller has put into slot fold->depth. For each
 * combination calls combine(context, left, right, out), upon which slot `out`,
 * which is `left` or `right`, holds the sum and the other is free. When the last
 * leaf has come, slot 0 holds the sum. */
void rw_fold_push(rw_fold *fold, long leaf,
                  void (*combine)(void *context, int left, int right, int out), void *context);

/* The most slots that a sum over any part of `leaves` leaves needs. */
int rw_fold_slots(long leaves);

#endif
