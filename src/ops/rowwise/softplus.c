/* Softplus: a smooth max(x, 0), for step sizes and other positive numbers. */
#include "ops/rowwise/activation.h"

static double naive(double x)
{
    return x > 30 ? x + exp(-x) : log1p(exp(x));
}

/* A logarithm counts as an exponential. */
RW_ACTIVATION(softplus, rw_softplus_value, rw_sigmoid, naive, 2 * RW_EXP_FLOPS + 2.0,
              "y = log(1 + e^x)",
              "Dugas et al. 2001, Incorporating second-order functional knowledge, equation 4");
