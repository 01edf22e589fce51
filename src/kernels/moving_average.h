/* Exponential moving averages of one column of channels (kernels/lanes.h):
 *
 *   h_t = q h_{t-1} + x_t,   y_t = sum_n c_n h_t,n          n = 0 .. averages - 1
 *
 * Arrays: decay q, readout c and every state (averages, RW_LANES); x, y, their gradients (rows,
 * RW_LANES). Some averages at a time go through all rows, with their states in registers.
 * Source: Ma et al. 2022, Mega: moving average equipped gated attention, equations 4 to 6. */
#ifndef RW_MOVING_AVERAGE_H
#define RW_MOVING_AVERAGE_H

#include "tensor/real.h"

typedef struct {
    int averages, rows;
    const real *decay, *readout;
} rw_moving_average;

/* Moves the state h past all rows. */
void rw_moving_average_state(const rw_moving_average *at, const real *x, real *h);

/* Moves the state h past all rows, and adds the output to y. */
void rw_moving_average_output(const rw_moving_average *at, const real *x, real *y, real *h);

/* The transpose of rw_moving_average_state, last row first: g is d loss / d h after the rows on
 * entry, before the rows on return. */
void rw_moving_average_adjoint(const rw_moving_average *at, const real *dy, real *g);

/* The transpose of rw_moving_average_output: g as above; adds to dx. */
void rw_moving_average_input_gradient(const rw_moving_average *at, const real *dy, real *dx,
                                      real *g);

/* Adds to the gradients of decay and readout. h is the state before the rows, g the gradient with
 * respect to the state after them; h is moved past all rows. dh/dq is carried along with h:
 * no state of a row is kept. */
void rw_moving_average_gradient(const rw_moving_average *at, const real *x, const real *dy, real *h,
                                const real *g, real *ddecay, real *dreadout);

#endif
