/* The exchange of shift and tree carries: after the segment that an op with a carry closes, before
 * the segment that the op opens; mirrored in the backward pass.
 *
 * The sequences of a micro-batch form groups, so that the exchange of one group is in flight while
 * the chunks of the other group are computed:
 *
 *   group 0   chunks of segment s | ... in flight ... | chunks of segment s+1 | ...
 *   group 1                       | chunks of s     | ... in flight ...       | chunks of s+1
 */
#ifndef RW_CARRY_EXCHANGE_H
#define RW_CARRY_EXCHANGE_H

#include "model/pass.h"

/* The exchanges in flight, by sequence group. */
typedef struct rw_carry_exchange rw_carry_exchange;
rw_status rw_carry_exchange_new(const rw_engine *engine, rw_carry_exchange **out);
void rw_carry_exchange_destroy(rw_carry_exchange **exchange);

/* All three: collective over layout->sp_comm, by the thread that calls MPI. Starts the exchange of
 * node i (mirrored: of gradients) for a sequence group, all of whose chunks have been computed. */
void rw_carry_exchange_start(const rw_pass *pass, int i, bool mirrored, int group);
/* Waits for the exchange of a group, if it is in flight. */
void rw_carry_exchange_finish(const rw_pass *pass, int group);
/* Moves on all exchanges in flight, without waiting. */
void rw_carry_exchange_progress(rw_carry_exchange *exchange);

/* If a group has one sequence, only one of its chunks may need the result of the exchange in
 * flight: the local number of the chunk; -1: any chunk may need the result. */
long rw_carry_exchange_late_chunk(const rw_pass *pass, bool mirrored, int group);

#endif
