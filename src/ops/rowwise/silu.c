/* SiLU: y = x sigmoid(x). The file to start from when you add an activation. */
#include "ops/rowwise/elementwise.h"

static inline real value(real x)
{
    return x * rw_sigmoid(x);
}

static inline real slope(real x)
{
    const real s = rw_sigmoid(x);
    return s + x * s * (1 - s);
}

static void silu_forward(const rw_call *call)
{
    rw_map(call, value);
}
static void silu_backward(const rw_call *call)
{
    rw_map_backward(call, slope);
}

static double naive(double x)
{
    return x / (1 + exp(-x));
}
static void silu_reference(const rw_call *call)
{
    rw_map_reference(call, naive);
}

static double silu_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 4.0) * rows * node->out_width;
}

const rw_op rw_op_silu = {
    .name = "silu",
    .doc = "y = x sigmoid(x)",
    .source = "Elfwing, Uchibe and Doya 2018, Sigmoid-weighted linear units, equation 5",
    .promises = {.rowwise = true, .keeps_in = 1u << 0, .in_place = 1u << 0},
    .shape = rw_elementwise_shape,
    .forward = silu_forward,
    .backward = silu_backward,
    .reference = silu_reference,
    .flops = silu_flops,
    .sample = rw_silu,
};

rw_status rw_silu(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_apply_unary(graph, &rw_op_silu, x, y);
}
