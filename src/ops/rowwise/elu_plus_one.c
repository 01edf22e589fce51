/* y = elu(x) + 1: positive features for linear attention. */
#include "ops/rowwise/activation.h"

static inline real value(real x)
{
    const real e = rw_exp(x < 0 ? x : 0);
    return x > 0 ? x + 1 : e;
}

static inline real slope(real x)
{
    return rw_exp(x < 0 ? x : 0);
}

static double naive(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

RW_ACTIVATION(elu_plus_one, value, slope, naive, RW_EXP_FLOPS + 1.0,
              "y = elu(x) + 1: x + 1 above zero, e^x below",
              "Katharopoulos et al. 2020, Transformers are RNNs, equation 7");
