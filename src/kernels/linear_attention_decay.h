/* The decays of linear attention (kernels/linear_attention_chunk.h) over one block of one head,
 * as panels (token, K') whose rows lie `wide` = K' reals apart, a multiple of RW_LANES:
 *
 *   decay  e_t = exp(log a_1 + ... + log a_t)       growth  1 / e_t
 *
 * Logarithms are to the base 2, for rw_exp2. Pure loops: no allocation, no I/O. */
#ifndef RW_LINEAR_ATTENTION_DECAY_H
#define RW_LINEAR_ATTENTION_DECAY_H

#include "tensor/real.h"

#define RW_LINEAR_ATTENTION_TEMPERATURE 16 /* log a = log sigmoid(gate) / 16 */

/* log a of a head (Sun et al. 2023, equation 8), to the base e. */
double rw_decay_of_head(int head);

/* a of a gate (Yang et al. 2023, section 4.4). */
real rw_decay_of_gate(real gate);

/* Of gate (rows, columns), ld; columns up to wide count as gates of 0. */
void rw_decay_by_gates(int rows, int columns, int wide, const real *gate, int ld, real *decay,
                       real *growth);

/* Of the same log a, to the base e, for all tokens and columns. */
void rw_decay_constant(int rows, int wide, double log_decay, real *decay, real *growth);

/* d log e_t / d gate_t, to the base e, in place of the gates x (n). */
void rw_decay_slopes(int n, real *x);

#endif
