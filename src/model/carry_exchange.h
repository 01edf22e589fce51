/* What crosses chunks on its way: between the segment that an op with a carry
 * closes and the one that it opens, forward, and back again in backward.
 *
 * The sequences of a micro-batch go in groups, so that the exchange of one group
 * travels while the chunks of the other are computed:
 *
 *   group 0   chunks of segment s | ... travels ... | chunks of segment s+1 | ...
 *   group 1                       | chunks of s     | ... travels ...       | chunks of s+1
 */
#ifndef RW_CARRY_EXCHANGE_H
#define RW_CARRY_EXCHANGE_H

#include "model/pass.h"

/* One exchange under way, by group. */
typedef struct rw_carry_exchange rw_carry_exchange;
rw_status rw_carry_exchange_new(const rw_engine *engine, rw_carry_exchange **out);
void rw_carry_exchange_destroy(rw_carry_exchange **exchange);

/* All three: collective over layout->sp_comm, by the thread that calls MPI.
 * Starts that of node i (mirrored: of gradients) for a group of the pass, whose
 * chunks have all been computed. */
void rw_carry_exchange_start(const rw_pass *pass, int i, bool mirrored, int group);
/* Waits for that of a group, if it is under way. */
void rw_carry_exchange_finish(const rw_pass *pass, int group);
/* Moves on all that are under way, without waiting. */
void rw_carry_exchange_progress(rw_carry_exchange *exchange);

/* The chunk (local number) of a group's only sequence that alone needs what the
 * exchange under way brings; -1: any may. */
long rw_carry_exchange_late_chunk(const rw_pass *pass, bool mirrored, int group);

#endif
