/* Sums the gradients of chunks ("leaves") over the chunk tree: on each thread,
 * over the threads of a rank, over micro-batches, over ranks. */
#ifndef RW_GRADIENT_SUM_H
#define RW_GRADIENT_SUM_H

#include "model/plan.h"
#include "mpi/tree_reduce.h"

typedef struct rw_gradient_sum rw_gradient_sum;

/* Allocates all memory for the sums of a plan. Each thread has a stack of leaves. Each segment, or
 * each segment whose sum is in flight, has room for the maximal nodes of the rank. Not collective.
 */
rw_status rw_gradient_sum_new(const rw_plan *plan, const rw_layout *layout, rw_gradient_sum **out);
void rw_gradient_sum_destroy(rw_gradient_sum **sum);

/* Forgets the last step's sums. */
void rw_gradient_sum_reset(rw_gradient_sum *sum);

/* Within a parallel region, by thread `thread`: a zeroed leaf with `reals` reals, and its return
 * for chunk leaf number `leaf` (rw_tree_leaf). The leaves of a thread come in increasing order and
 * lie between the leaves of its neighbours. */
real *rw_gradient_sum_leaf(rw_gradient_sum *sum, int thread, size_t reals);
void rw_gradient_sum_push(rw_gradient_sum *sum, int thread, long leaf, size_t reals);

/* After the parallel region over segment s: moves the threads' nodes to the
 * segment's own. */
void rw_gradient_sum_collect(rw_gradient_sum *sum, int segment);

/* After the last micro-batch: begins the sum of a segment over all ranks. Collective over the
 * layout: all ranks start and finish the sums in the same order, last segment first. */
void rw_gradient_sum_start(rw_gradient_sum *sum, int segment);
/* How many sums may be in flight (before another sum begins, the oldest is finished), and how many
 * are. */
int rw_gradient_sum_most(const rw_gradient_sum *sum);
int rw_gradient_sum_in_flight(const rw_gradient_sum *sum);
/* Moves the sums in flight on without waiting. Called by the thread that calls MPI, from time to
 * time while it computes. Not collective. */
void rw_gradient_sum_progress(rw_gradient_sum *sum);
/* Waits for the oldest sum in flight: returns the total, valid until the next segment is collected,
 * and the segment. */
const real *rw_gradient_sum_finish(rw_gradient_sum *sum, int *segment);

/* The sum of a double for each chunk of the step: leaf (local sequences, local chunks). */
double rw_gradient_sum_scalar(rw_gradient_sum *sum, const double *leaf);

#endif
