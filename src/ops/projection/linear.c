/* y = x W^T (+ bias): the matrix product. Not rowwise: BLAS wants whole chunks. */
#include <math.h>

#include "graph/layers.h"
#include "ops/projection/weight_product.h"

extern const rw_op rw_op_linear;

static rw_status linear_shape(const rw_node *node, int *out_width)
{
    if (node->ins != 1 || node->params < 1 || node->params > 2)
        return rw_fail(RW_USAGE,
                       "linear takes one input, a weight and perhaps a bias; it got %d "
                       "inputs and %d parameters",
                       node->ins, node->params);
    if (node->param_cols[0] != node->in_width[0])
        return rw_fail(RW_USAGE,
                       "linear: the weight is (%ld, %ld) but the input has width %d; "
                       "its columns must equal that width",
                       node->param_rows[0], node->param_cols[0], node->in_width[0]);
    if (node->params == 2 && node->param_rows[1] * node->param_cols[1] != node->param_rows[0])
        return rw_fail(RW_USAGE, "linear: the bias has %ld elements for %ld outputs",
                       node->param_rows[1] * node->param_cols[1], node->param_rows[0]);
    *out_width = (int)node->param_rows[0];
    return RW_OK;
}

static rw_status linear_sizes(rw_node *node)
{
    rw_weight_product_sizes(node);
    node->size.scratch = rw_weight_product_room(node, node->setting.chunk);
    return RW_OK;
}

static void linear_forward(const rw_call *call)
{
    int out = call->node->out_width;
    bool biased = call->node->params == 2;
    for (int t = 0; biased && t < call->rows; t++)
        for (int j = 0; j < out; j++) call->out[(size_t)t * call->out_ld + j] = call->param[1][j];
    rw_weight_product(call, call->rows, call->in[0], call->in_ld[0], biased, call->out,
                      call->out_ld, call->scratch);
}

static void linear_backward(const rw_call *call)
{
    int out = call->node->out_width, ld = call->back.dout_ld;
    const rw_weight_gradient gradient = {.rows = call->rows,
                                         .x = call->in[0],
                                         .ldx = call->in_ld[0],
                                         .dy = call->back.dout,
                                         .lddy = ld,
                                         .dx = call->back.din[0],
                                         .lddx = call->back.din_ld[0],
                                         .add = call->back.din_add[0]};
    rw_weight_product_backward(call, &gradient, call->scratch);
    if (call->back.discards) return;
    for (int t = 0; call->node->params == 2 && t < call->rows; t++)
        for (int j = 0; j < out; j++)
            call->back.dparam[1][j] += call->back.dout[(size_t)t * ld + j];
}

static void linear_reference(const rw_call *call)
{
    int in = call->node->in_width[0], out = call->node->out_width;
    for (int t = 0; t < call->rows; t++)
        for (int j = 0; j < out; j++) {
            double sum = call->node->params == 2 ? call->param[1][j] : 0;
            for (int i = 0; i < in; i++)
                sum += (double)call->in[0][(size_t)t * call->in_ld[0] + i] *
                       call->param[0][(size_t)j * in + i];
            call->out[(size_t)t * call->out_ld + j] = (real)sum;
        }
}

static double linear_flops(const rw_node *node, int rows)
{
    double out = node->out_width;
    return rows * (2 * out * node->in_width[0] + (node->params == 2 ? out : 0));
}

rw_status rw_linear(rw_graph *graph, rw_value x, const rw_linear_options *options, rw_value *y)
{
    int params[2], count = 0;
    double gain = options->gain == 0 ? 1 : options->gain;
    const rw_param weight = {.rows = options->width,
                             .cols = x.width,
                             .group = RW_GROUP_WEIGHT,
                             .init = rw_init_normal,
                             .scale = gain / sqrt(x.width),
                             .wide = !options->narrow,
                             .output = options->output,
                             .by_depth = options->by_depth};
    const rw_param bias = {.rows = 1,
                           .cols = options->width,
                           .group = RW_GROUP_PLAIN,
                           .init = options->bias_init ? options->bias_init : rw_init_constant,
                           .output = options->output};
    RW_TRY(rw_graph_param_of(graph, options->name, "weight", &weight, &params[count++]));
    if (options->bias)
        RW_TRY(rw_graph_param_of(graph, options->name, "bias", &bias, &params[count++]));
    return rw_graph_apply(graph, &rw_op_linear, NULL, 0, &x, 1, params, count, y);
}

static rw_status linear_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    rw_linear_options options = {.name = "linear", .width = 3 * x.width / 2, .bias = true};
    return rw_linear(graph, x, &options, y);
}

const rw_op rw_op_linear = {
    .name = "linear",
    .doc = "y = x W^T + b",
    .promises = {.keeps_in = 1},
    .shape = linear_shape,
    .sizes = linear_sizes,
    .prepare = rw_weight_product_prepare,
    .forward = linear_forward,
    .backward = linear_backward,
    .reference = linear_reference,
    .flops = linear_flops,
    .bytes = rw_weight_product_bytes,
    .sample = linear_sample,
};
