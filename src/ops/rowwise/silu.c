/* SiLU: y = x sigmoid(x). The file to start from when you add an activation. */
#include "ops/rowwise/activation.h"

static inline real value(real x)
{
    return x * rw_sigmoid(x);
}

static inline real slope(real x)
{
    const real s = rw_sigmoid(x);
    return s + x * s * (1 - s);
}

static double naive(double x)
{
    return x / (1 + exp(-x));
}

RW_ACTIVATION(silu, value, slope, naive, RW_EXP_FLOPS + 4.0, "y = x sigmoid(x)",
              "Elfwing, Uchibe and Doya 2018, Sigmoid-weighted linear units, equation 5");
