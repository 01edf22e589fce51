/* The gain of several ranks: the same training steps on one rank, and on all ranks that share the
 * batch or each sequence, in turn. */
#ifndef RW_SCALING_H
#define RW_SCALING_H

#include "measure/step_models.h"
#include "mpi/layout.h"

/* The same on every rank. Seconds of a step: medians; gains: the time of one rank over the time of
 * all, medians of the rounds. */
typedef struct {
    long length, batch;
    double alone, dp, sp;
    double dp_gain, sp_gain;
    int rounds; /* 0: not measured, see `reason` */
    char reason[160];
} rw_scaling_figures;

/* `layout`: all ranks. Rank 0 does the steps alone while the others sleep; each rank has
 * layout->threads threads. Sequences of `length` tokens, at least 4096 tokens a step and one
 * sequence a rank. Collective over MPI_COMM_WORLD. */
rw_status rw_scaling_run(const rw_layout *layout, const rw_step_model *model, long length,
                         int rounds, rw_scaling_figures *out);

#endif
