/* What equal bits on any layout cost: the sums and the carries of a training step on
 * the chunk tree, beside the cheapest whose order of operations depends on the layout.
 *
 *   sums      tree: each chunk adds to a leaf of its own, which is zeroed before and added
 *             to the thread's stack after; threads and ranks combine nodes
 *             (model/gradient_sum.h). Plain: each thread has one accumulator for all of its
 *             chunks, threads add up, ranks all-reduce.
 *   carries   tree and plain: see scan_cost.h, on a rank's own chunks. Between ranks either
 *             way takes log2 P turns.
 *
 * Sums have the sizes of the model's plan, go beside the same reading of as much memory as
 * backward reads, with exchanges in flight meanwhile. What backward itself does to a
 * gradient (one pass over it) is done in both. The rest costs nothing that a rank would
 * save otherwise: which thread has which chunks, products of one chunk at a time, the loss
 * and the norm in fixed blocks. */
#ifndef RW_INVARIANCE_H
#define RW_INVARIANCE_H

#include "measure/step_models.h"
#include "mpi/layout.h"

/* The same on every rank; seconds a step, medians. */
typedef struct {
    long length, batch;
    double step;                    /* the whole */
    double sums_tree, sums_plain;   /* of gradients */
    double scans_tree, scans_plain; /* carries */
    double sums_share, scans_share; /* (tree - plain) / step, medians of the rounds */
    int rounds;                     /* 0: not measured, see `reason` */
    char reason[160];
} rw_invariance_figures;

/* Sequences of `length` tokens, at least 4096 tokens a step. Collective over the layout. */
rw_status rw_invariance_run(const rw_layout *layout, const rw_step_model *model, long length,
                            int rounds, rw_invariance_figures *out);

#endif
