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

#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

/* Coefficients (M, 4, RW_LANES), and gradients with respect to them. */
enum {
    RW_DIAGONAL_LAMBDA_RE,
    RW_DIAGONAL_LAMBDA_IM,
    RW_DIAGONAL_C_RE,
    RW_DIAGONAL_C_IM,
    RW_DIAGONAL_COEFFICIENTS
};

/* Moves the state x by `rows` tokens. u NULL: zero input; y NULL: not wanted. */
void rw_diagonal_run(int modes, const real *coefficients, int rows, const real *u, real *y,
                     real *x);

/* The transpose, last token first: p is d/dx after the tokens on entry, before
 * them on return. dy NULL: zero; du (written) NULL: not wanted. */
void rw_diagonal_run_adjoint(int modes, const real *coefficients, int rows, const real *dy,
                             real *du, real *p);

/* Gradients by the tangent: runs x over the tokens together with tangent =
 * dx / dlambda (both in and out; complex, for x is analytic in lambda), and adds
 * sum_t dy_t x_t and sum_t dy_t tangent_t to sums (M, 4, RW_LANES): tangent re,
 * im, state re, im. */
void rw_diagonal_gradient(int modes, const real *coefficients, int rows, const real *u,
                          const real *dy, real *x, real *tangent, real *sums);

/* y = power x, or its transpose; power (M, 2, RW_LANES), complex. */
void rw_diagonal_power_apply(int modes, const real *power, bool transpose, const real *x, real *y);

#endif
