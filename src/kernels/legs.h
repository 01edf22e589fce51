/* The LegS state space of HiPPO under the bilinear (Cayley) rule, one column of
 * RW_LANES channels at a time (kernels/lanes.h).
 *
 *   h' = A h + B u,  A_nk = -sqrt((2n+1)(2k+1)) (n > k), -(n+1) (n = k), 0 else,
 *   B_n = sqrt(2n+1)          (Gu et al. 2020, "HiPPO", equation for LegS)
 *   h_t = (I - dt/2 A)^-1 ((I + dt/2 A) h_{t-1} + dt B u_t)
 *   y_t = C h_t
 *
 * In the basis q_n = h_n / sqrt(2n+1) the state space is
 *
 *   q'_n = zeta_n - (n+1) q_n,   zeta_n = u - sum_{k<n} (2k+1) q_k,   y = sum_n c_n q_n
 *
 * with c_n = sqrt(2n+1) C_n, so that one step takes O(N): with e = dt/2 and
 * g_n = 1 / (1 + e (n+1)), elimination of (I - e A) in order of n gives
 *
 *   rate_n     = zeta_n - (n+1) q_n                   zeta_0 = u
 *   q_n       += dt g_n rate_n                        = alpha_n rate_n
 *   zeta_{n+1} = a_n zeta_n - b_n (old q_n)           a_n = (1 - e n) g_n, b_n = (2n+1) g_n
 *
 * The state is moved by increments, not multiplied: the rounding of a
 * coefficient is then relative to the increment, and float keeps its accuracy
 * for small dt.
 *
 * Kernels are pure loops. State, adjoint and gradients with respect to c are
 * (N, RW_LANES); tokens are (rows, RW_LANES). */
#ifndef RW_LEGS_H
#define RW_LEGS_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

#define RW_LEGS_MAX_STATE 512

/* Coefficients (N, 4, RW_LANES): alpha, a, b, c. */
size_t rw_legs_coefficient_reals(int state);
/* Writes one lane of them, from the step dt and the channel's C (N). */
void rw_legs_coefficients(int state, int lane, double dt, const real *C, real *coefficients);
/* Writes a lane without a channel: its output is zero. */
void rw_legs_no_channel(int state, int lane, real *coefficients);

/* Moves the state q by `rows` tokens. u NULL: zero input; y NULL: not wanted. */
void rw_legs_run(int state, const real *coefficients, int rows, const real *u, real *y, real *q);

/* The transpose, last token first: p is d/dq after the tokens on entry, before
 * them on return. dy NULL: zero; du (written) NULL: not wanted. */
void rw_legs_run_adjoint(int state, const real *coefficients, int rows, const real *dy, real *du,
                         real *p);

/* Gradients by the tangent: runs q over the tokens together with tangent =
 * dq / d log dt (both in and out), and adds sum_t dy_t q_t to dc (N, RW_LANES)
 * and sum_t dy_t (c . tangent_t) to dlog_dt (RW_LANES). */
void rw_legs_gradient(int state, const real *coefficients, int rows, const real *u, const real *dy,
                      real *q, real *tangent, real *dc, real *dlog_dt);

/* Transitions of q over 2^k tokens, less the identity (which keeps what a slow
 * mode loses in few tokens): lower triangles, element (n, m <= n, RW_LANES). */
size_t rw_legs_power_reals(int state);
/* The transition of one token, and of twice the tokens, in place. */
void rw_legs_power_one(int state, const real *coefficients, real *power);
void rw_legs_power_double(int state, real *power);
/* y = (I + power) x, or its transpose; x and y (N, RW_LANES) do not overlap. */
void rw_legs_power_apply(int state, const real *power, bool transpose, const real *x, real *y);

#endif
