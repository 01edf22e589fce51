/* GELU in its tanh form, which needs no erf:
 *
 *   y = x/2 (1 + tanh u) = x sigmoid(2u),   u = sqrt(2/pi) (x + 0.044715 x^3)
 *
 * The sigmoid form keeps the relative precision of y for large negative x,
 * where 1 + tanh u cancels. It differs from the erf form by less than 5e-4. */
#include "ops/rowwise/activation.h"

#define TWICE_ROOT 1.5957691216057308 /* 2 sqrt(2/pi) */
#define CUBIC      0.044715

static inline real value(real x)
{
    const real u2 = (real)TWICE_ROOT * (x + (real)CUBIC * x * x * x);
    return x * rw_sigmoid(u2);
}

static inline real slope(real x)
{
    const real u2 = (real)TWICE_ROOT * (x + (real)CUBIC * x * x * x);
    const real du2 = (real)TWICE_ROOT * (1 + (real)(3 * CUBIC) * x * x);
    const real s = rw_sigmoid(u2);
    return s + x * du2 * (s * (1 - s));
}

static double naive(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + CUBIC * pow(x, 3))));
}

RW_ACTIVATION(gelu, value, slope, naive, RW_EXP_FLOPS + 9.0,
              "y = x Phi(x), Phi by its tanh approximation",
              "Hendrycks and Gimpel 2016, Gaussian error linear units, section 2");
