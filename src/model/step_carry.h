/* What crosses from a training step to the next (plan option `carry`): the
 * states in which the sequences of a step end are those in which the sequences
 * of the next begin (truncated back-propagation through time: Williams and Peng
 * 1990, An efficient gradient-based algorithm; no gradient goes back). The state of a
 * global op is the last rows of its inputs (model/global_memory.h).
 *
 * Each carry has two states a local sequence: the one that came in, read by
 * forward, again by recomputation and by backward, and the one that goes out,
 * written by forward. All ranks of sp_comm hold the first; the second is on the
 * rank of the last chunk, rows on those that have them, until it is handed on. */
#ifndef RW_STEP_CARRY_H
#define RW_STEP_CARRY_H

#include "model/pass.h"

typedef struct rw_step_carry rw_step_carry;

/* Allocates the states of all carries, zero; nothing without the option. Not
 * collective. */
rw_status rw_step_carry_new(const rw_plan *plan, rw_step_carry **out);
void rw_step_carry_destroy(rw_step_carry **carry);

/* All carries, in the order of the nodes; returns their number. */
int rw_step_carry_list(const rw_step_carry *carry, const rw_carried **out);

/* Of node i, (sequences, state) from sequence b of the micro-batch on: the state
 * that came in, and where the one that goes out belongs. NULL without the option
 * and in evaluation, which begins with nothing. */
const real *rw_step_carry_in(const rw_pass *pass, int i, long b);
real *rw_step_carry_out(const rw_pass *pass, int i, long b);

/* What went out comes in: from the rank of sp_comm that made it to all. Predicted
 * volume: (sp - 1) S reals, S all states of its sequences: by the last rank, and of
 * rows by those that have them. Collective over layout->sp_comm. */
void rw_step_carry_hand_on(rw_step_carry *carry, const rw_layout *layout);

#endif
