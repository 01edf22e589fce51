/* A pipeline over the ranks that share sequences: while a rank does its chunks
 * of some sequences, the rank before does its own chunks of the next sequences.
 * The pipeline serves non-linear recurrences, whose chunks must be computed in
 * order: the state goes from rank to rank, the gradient (mirrored) the other way.
 *
 *   rank 0   a  b  c  d                 S sequences in M waves over P ranks:
 *   rank 1      a  b  c  d              M + P - 1 turns of a wave each,
 *   rank 2         a  b  c  d           efficiency M / (M + P - 1)
 *
 * Predicted volume sent by a rank: S state reals, and nothing by the last (the
 * first, mirrored): (P-1) S state in all, whatever the length is. A sequence is
 * a message of its own, so ranks may differ in the size of their waves. */
#ifndef RW_PIPELINE_H
#define RW_PIPELINE_H

#include <stdbool.h>

#include "mpi/layout.h"
#include "tensor/real.h"

typedef struct rw_pipeline rw_pipeline;

/* Plans runs over up to `sequences` sequences with states of at most `state`
 * reals. Not collective. */
rw_status rw_pipeline_new(const rw_layout *layout, long sequences, size_t state, rw_pipeline **out);
void rw_pipeline_destroy(rw_pipeline **pipeline);

/* What a rank does with its chunks of the sequences of a wave. in: the state
 * that the rank before handed over, NULL where there is none; out: the state
 * for the next rank, to be written. Both hold one state a sequence of the wave,
 * in its order. */
typedef void (*rw_pipeline_turn)(void *context, rw_range wave, const real *in, real *out);

/* Collective over layout->sp_comm: calls `turn` on waves of `wave` >= 1
 * sequences, in order, until {0..sequences-1} are done. */
void rw_pipeline_run(rw_pipeline *pipeline, long sequences, size_t state, bool mirrored, long wave,
                     rw_pipeline_turn turn, void *context);
/* What this rank sends in such a run, in bytes. Not collective. */
size_t rw_pipeline_bytes(const rw_pipeline *pipeline, long sequences, size_t state, bool mirrored);

#endif
