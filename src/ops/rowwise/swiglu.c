/* SwiGLU: y = silu(a) b, where a and b are the halves of the columns of x. */
#include "ops/rowwise/elementwise.h"

static void swiglu_row(int n, const real *restrict a, const real *restrict b, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = a[i] * rw_sigmoid(a[i]) * b[i];
}

static void swiglu_forward(const rw_call *call)
{
    const int half = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        swiglu_row(half, x, x + half, rw_row_out(call->out, call->out_ld, t));
    }
}

static void gradient_row(int n, const real *restrict a, const real *restrict b,
                         const real *restrict dy, bool add, real *restrict da, real *restrict db)
{
    for (int i = 0; i < n; i++) {
        const real s = rw_sigmoid(a[i]);
        const real slope = s + a[i] * s * (1 - s);
        da[i] = rw_put(add, da[i], dy[i] * b[i] * slope);
        db[i] = rw_put(add, db[i], dy[i] * (a[i] * s));
    }
}

static void swiglu_backward(const rw_call *call)
{
    if (!call->back.din[0]) return;
    const int half = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        real *dx = rw_row_out(call->back.din[0], call->back.din_ld[0], t);
        gradient_row(half, x, x + half, rw_row(call->back.dout, call->back.dout_ld, t),
                     call->back.din_add[0], dx, dx + half);
    }
}

static void swiglu_reference(const rw_call *call)
{
    const int half = call->node->in_width[0] / 2;
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < half; i++) {
            const double a = rw_row(call->in[0], call->in_ld[0], t)[i];
            const double b = rw_row(call->in[0], call->in_ld[0], t)[half + i];
            rw_row_out(call->out, call->out_ld, t)[i] = (real)(a / (1 + exp(-a)) * b);
        }
}

static rw_status swiglu_shape(const rw_node *node, int *out_width)
{
    if (node->in_width[0] % 2 != 0)
        return rw_fail(RW_USAGE, "swiglu: the input has %d columns; the width must be even",
                       node->in_width[0]);
    *out_width = node->in_width[0] / 2;
    return RW_OK;
}

static double swiglu_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 5.0) * rows * node->out_width;
}

const rw_op rw_op_swiglu = {
    .name = "swiglu",
    .doc = "y = silu(left half of the columns) * right half",
    .source = "Shazeer 2020, GLU variants improve transformer, equation 6",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = swiglu_shape,
    .forward = swiglu_forward,
    .backward = swiglu_backward,
    .reference = swiglu_reference,
    .flops = swiglu_flops,
    .sample = rw_swiglu,
};

rw_status rw_swiglu(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_apply_unary(graph, &rw_op_swiglu, x, y);
}
