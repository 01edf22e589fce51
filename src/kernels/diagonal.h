/* A diagonal complex state space, one column of RW_LANES channels at a time
 * (kernels/lanes.h): M modes of a real signal,
 *
 *   x_t = lambda x_{t-1} + u_t,   y_t = Re sum_m c_m x_t,m
 *
 * (Gu, Gupta, Goel, Re 2022, "On the parameterization and initialization of
 * diagonal state space models", with input matrix and the factor 2 of the
 * conjugate modes moved into c.)
 *
 * Kernels are pure loops. States and their adjoints are (M, 2, RW_LANES): real
 * and imaginary parts; tokens are (rows, RW_LANES). An adjoint or gradient is
 * the pair of derivatives with respect to the two parts. */
#ifndef RW_DIAGONAL_H
#define RW_DIAGONAL_H

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

/* Tokens of a block, which moves the complex state at once. */
#define RW_DIAGONAL_BLOCK 8

/* Coefficients (M, 7, RW_LANES); the first four are what gradients (M, 4,
 * RW_LANES) are with respect to. rw_diagonal_coefficients writes one lane of a
 * mode's, from lambda and c in double: the rounding of lambda^RW_DIAGONAL_BLOCK
 * grows with the number of blocks only. */
enum {
    RW_DIAGONAL_LAMBDA_RE,
    RW_DIAGONAL_LAMBDA_IM,
    RW_DIAGONAL_C_RE,
    RW_DIAGONAL_C_IM,
    RW_DIAGONAL_GRADIENTS,
    RW_DIAGONAL_NORM = RW_DIAGONAL_GRADIENTS, /* |lambda|^2 */
    RW_DIAGONAL_POWER_RE,                     /* lambda^RW_DIAGONAL_BLOCK */
    RW_DIAGONAL_POWER_IM,
    RW_DIAGONAL_COEFFICIENTS
};
void rw_diagonal_coefficients(int mode, int lane, double complex lambda, double complex c,
                              real *coefficients);

/* Moves the state x by `rows` tokens, one after the other. */
void rw_diagonal_run(int modes, const real *coefficients, int rows, const real *u, real *y,
                     real *x);

/* The state x from the tokens alone: the run from zero without y. */
void rw_diagonal_input(int modes, const real *coefficients, int rows, const real *u, real *x);
/* The terms of the state x before the tokens in y: the run without u. Overwrites x. */
void rw_diagonal_output(int modes, const real *coefficients, int rows, real *x, real *y);

/* The transposes: from p = d/dx after the tokens, overwritten, to du; and from dy to p = d/dx
 * before the tokens. */
void rw_diagonal_input_adjoint(int modes, const real *coefficients, int rows, real *p, real *du);
void rw_diagonal_output_adjoint(int modes, const real *coefficients, int rows, const real *dy,
                                real *p);

/* Gradients: moves x over the tokens and writes rate (M, 2, RW_LANES), its change
 * with log lambda, lambda dx/dlambda (complex, for x is analytic in lambda; zero
 * before the tokens), and sums (M, 4, RW_LANES): sum_t dy_t rate_t, re and im,
 * and sum_t dy_t x_t. */
void rw_diagonal_gradient(int modes, const real *coefficients, int rows, const real *u,
                          const real *dy, real *x, real *rate, real *sums);

/* y = power x, or its transpose; power (M, 2, RW_LANES), complex. */
void rw_diagonal_power_apply(int modes, const real *power, bool transpose, const real *x, real *y);

#endif
