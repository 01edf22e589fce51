/* y = elu(x) + 1: positive features for linear attention. */
#include "ops/rowwise/elementwise.h"

static inline real value(real x)
{
    const real e = rw_exp(x < 0 ? x : 0);
    return x > 0 ? x + 1 : e;
}

static inline real slope(real x)
{
    return rw_exp(x < 0 ? x : 0);
}

static void elu_plus_one_forward(const rw_call *call)
{
    rw_map(call, value);
}
static void elu_plus_one_backward(const rw_call *call)
{
    rw_map_backward(call, slope);
}

static double naive(double x)
{
    return x > 0 ? x + 1 : exp(x);
}
static void elu_plus_one_reference(const rw_call *call)
{
    rw_map_reference(call, naive);
}

static double elu_plus_one_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 1.0) * rows * node->out_width;
}

const rw_op rw_op_elu_plus_one = {
    .name = "elu_plus_one",
    .doc = "y = elu(x) + 1: x + 1 above zero, e^x below",
    .source = "Katharopoulos et al. 2020, Transformers are RNNs, equation 7",
    .promises = {.rowwise = true, .keeps_in = 1u << 0, .in_place = 1u << 0},
    .shape = rw_elementwise_shape,
    .forward = elu_plus_one_forward,
    .backward = elu_plus_one_backward,
    .reference = elu_plus_one_reference,
    .flops = elu_plus_one_flops,
    .sample = rw_elu_plus_one,
};

rw_status rw_elu_plus_one(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_apply_unary(graph, &rw_op_elu_plus_one, x, y);
}
