/* Softplus: a smooth max(x, 0), for step sizes and other positive numbers. */
#include "ops/rowwise/elementwise.h"

static void softplus_forward(const rw_call *call)
{
    rw_map(call, rw_softplus_value);
}
static void softplus_backward(const rw_call *call)
{
    rw_map_backward(call, rw_sigmoid);
}

static double naive(double x)
{
    return x > 30 ? x + exp(-x) : log1p(exp(x));
}
static void softplus_reference(const rw_call *call)
{
    rw_map_reference(call, naive);
}

static double softplus_flops(const rw_node *node, int rows)
{
    return (2 * RW_EXP_FLOPS + 2.0) * rows * node->out_width; /* a logarithm as an exponential */
}

const rw_op rw_op_softplus = {
    .name = "softplus",
    .doc = "y = log(1 + e^x)",
    .source = "Dugas et al. 2001, Incorporating second-order functional knowledge, equation 4",
    .promises = {.rowwise = true, .keeps_in = 1u << 0, .in_place = 1u << 0},
    .shape = rw_elementwise_shape,
    .forward = softplus_forward,
    .backward = softplus_backward,
    .reference = softplus_reference,
    .flops = softplus_flops,
    .sample = rw_softplus,
};

rw_status rw_softplus(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_apply_unary(graph, &rw_op_softplus, x, y);
}
