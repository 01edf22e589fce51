/* What equal bits on any layout cost: the sums of gradients of a training step on
 * the chunk tree, beside the cheapest sums whose order depends on the layout.
 *
 *   tree    each chunk adds to a leaf of its own, which is zeroed before and added to the
 *           thread's stack after; threads and ranks combine nodes (model/gradient_sum.h)
 *   plain   each thread has one accumulator for all of its chunks; threads add up, ranks
 *           all-reduce
 *
 * Both on the sizes of the model's plan, both beside the same reading of as much memory
 * as backward reads, both with exchanges under way beside that. What backward itself
 * does to a gradient (one pass over it) is done in both. Not in the comparison, since it
 * costs nothing or is the same without invariance: the order of chunks in a thread, carries
 * (a scan by rank also takes log2 P turns), products of one chunk at a time. */
#ifndef RW_INVARIANCE_H
#define RW_INVARIANCE_H

#include "measure/step_models.h"
#include "mpi/layout.h"

/* The same on every rank; seconds a step, medians. */
typedef struct {
    long length, batch;
    double step;        /* the whole */
    double tree, plain; /* the sums of gradients, both ways */
    double share;       /* (tree - plain) / step, median of the rounds */
    int rounds;         /* 0: not measured, see `reason` */
    char reason[160];
} rw_invariance_figures;

/* Sequences of `length` tokens, at least 4096 tokens a step. Collective over the layout. */
rw_status rw_invariance_run(const rw_layout *layout, const rw_step_model *model, long length,
                            int rounds, rw_invariance_figures *out);

#endif
