/* y = a + b: the residual stream and the output of a block. */
#include "ops/rowwise/elementwise.h"

static void sum_row(int n, const real *restrict a, const real *restrict b, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void residual_forward(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        sum_row(call->node->out_width, rw_row(call->in[0], call->in_ld[0], t),
                rw_row(call->in[1], call->in_ld[1], t), rw_row_out(call->out, call->out_ld, t));
}

static void gradient_row(int n, const real *restrict dy, bool add, real *restrict dx)
{
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], dy[i]);
}

static bool is_there(const rw_call *call, int k)
{
    return call->back.din[k] == call->back.dout && !call->back.din_add[k];
}

/* One input after the other: both may be the same value. */
static void residual_backward(const rw_call *call)
{
    for (int k = 0; k < 2; k++) {
        if (!call->back.din[k] || is_there(call, k)) continue;
        for (int t = 0; t < call->rows; t++)
            gradient_row(call->node->out_width, rw_row(call->back.dout, call->back.dout_ld, t),
                         call->back.din_add[k],
                         rw_row_out(call->back.din[k], call->back.din_ld[k], t));
    }
}

static void residual_reference(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i++)
            rw_row_out(call->out, call->out_ld, t)[i] = rw_row(call->in[0], call->in_ld[0], t)[i] +
                                                        rw_row(call->in[1], call->in_ld[1], t)[i];
}

static double residual_flops(const rw_node *node, int rows)
{
    return (double)rows * node->out_width;
}

/* The two halves of x. */
static rw_status residual_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const int half = x.width / 2;
    return rw_residual(graph, rw_columns(x, 0, half), rw_columns(x, half, half), y);
}

const rw_op rw_op_residual = {
    .name = "residual",
    .doc = "y = a + b",
    .promises = {.rowwise = true, .shares_gradient = true},
    .shape = rw_elementwise_shape,
    .forward = residual_forward,
    .backward = residual_backward,
    .reference = residual_reference,
    .flops = residual_flops,
    .sample = residual_sample,
};

rw_status rw_residual(rw_graph *graph, rw_value a, rw_value b, rw_value *y)
{
    const rw_value in[] = {a, b};
    return rw_graph_apply(graph, &rw_op_residual, NULL, 0, in, 2, NULL, 0, y);
}
