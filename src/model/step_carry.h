/* The states between training steps (plan option `carry`). The sequences of a step begin with the
 * final states of the sequences of the step before (truncated back-propagation through time:
 * Williams and Peng 1990, An efficient gradient-based algorithm; no gradient goes back). The state
 * of a global op consists of past rows (model/past_rows.h). Each carry has two states for a local
 * sequence: the incoming state, read by forward, recomputation and backward, and the outgoing
 * state, written by forward. All ranks of sp_comm hold the incoming state. The rank of the last
 * chunk holds the outgoing state, and each rank holds its past rows, until rw_step_carry_hand_on.
 */
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

/* For node i, (sequences, state) from sequence b of the micro-batch on: the incoming state, and the
 * place of the outgoing state. NULL without the option and in evaluation, which begins with zero
 * states. */
const real *rw_step_carry_in(const rw_pass *pass, int i, long b);
real *rw_step_carry_out(const rw_pass *pass, int i, long b);

/* The outgoing states become the incoming states: each rank of sp_comm sends its states to all.
 * Predicted volume: (sp - 1) S reals, where S is all states of its sequences: sent by the last
 * rank; past rows by the ranks that hold them. Collective over layout->sp_comm. */
void rw_step_carry_hand_on(rw_step_carry *carry, const rw_layout *layout);

#endif
