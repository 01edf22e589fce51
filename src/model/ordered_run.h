/* The exchange of a sequence carry: the recurrence itself, chunk after chunk of a sequence. Threads
 * share sequences. Ranks that share sequences form a pipeline (mpi/pipeline.h). */
#ifndef RW_ORDERED_RUN_H
#define RW_ORDERED_RUN_H

#include "model/pass.h"

/* Runs node i over the micro-batch: summary of each chunk, first to last, or,
 * mirrored, adjoint of each, last to first. Collective over layout->sp_comm. */
void rw_ordered_run(const rw_pass *pass, int i, bool mirrored);

#endif
