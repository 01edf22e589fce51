/* GELU in its tanh form, which needs no erf:
 *
 *   y = x/2 (1 + tanh u) = x sigmoid(2u),   u = sqrt(2/pi) (x + 0.044715 x^3)
 *
 * The sigmoid form keeps the relative precision of y for large negative x,
 * where 1 + tanh u cancels. It differs from the erf form by less than 5e-4. */
#include "ops/rowwise/elementwise.h"

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

static void gelu_forward(const rw_call *call)
{
    rw_map(call, value);
}
static void gelu_backward(const rw_call *call)
{
    rw_map_backward(call, slope);
}

static double naive(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + CUBIC * pow(x, 3))));
}
static void gelu_reference(const rw_call *call)
{
    rw_map_reference(call, naive);
}

static double gelu_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 9.0) * rows * node->out_width;
}

const rw_op rw_op_gelu = {
    .name = "gelu",
    .doc = "y = x Phi(x), Phi by its tanh approximation",
    .source = "Hendrycks and Gimpel 2016, Gaussian error linear units, section 2",
    .promises = {.rowwise = true, .keeps_in = 1u << 0, .in_place = 1u << 0},
    .shape = rw_elementwise_shape,
    .forward = gelu_forward,
    .backward = gelu_backward,
    .reference = gelu_reference,
    .flops = gelu_flops,
    .sample = rw_gelu,
};

rw_status rw_gelu(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_apply_unary(graph, &rw_op_gelu, x, y);
}
