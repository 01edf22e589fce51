/* The first gate of a Hyena, beside the values that pass around its long convolution:
 *
 *   [v | x1 | x2], h  ->  [v x1 | x2 | h]
 *
 * The output is one value, as wide as the first input: so its gradient may share the buffer of the
 * input's gradient, and needs no memory of its own. */
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_hyena_gate;

enum { GATE_INPUT, GATE_FILTER };

static rw_status hyena_gate_shape(const rw_node *node, int *out_width)
{
    const int width = node->in_width[GATE_FILTER];
    if (node->in_width[GATE_INPUT] != 3 * width)
        return rw_fail(RW_USAGE,
                       "a gate beside a filter of %d columns needs three times as many, not %d",
                       width, node->in_width[GATE_INPUT]);
    *out_width = 3 * width;
    return RW_OK;
}

static void gate_row(int n, const real *restrict x, const real *restrict h, real *restrict y)
{
    for (int i = 0; i < n; i++) {
        y[i] = x[n + i] * x[i];
        y[n + i] = x[2 * n + i];
        y[2 * n + i] = h[i];
    }
}

static void hyena_gate_forward(const rw_call *call)
{
    const int n = call->node->in_width[GATE_FILTER];
    for (int t = 0; t < call->rows; t++)
        gate_row(n, rw_row(call->in[GATE_INPUT], call->in_ld[GATE_INPUT], t),
                 rw_row(call->in[GATE_FILTER], call->in_ld[GATE_FILTER], t),
                 rw_row_out(call->out, call->out_ld, t));
}

static void filter_gradient_row(int n, const real *restrict dy, bool add, real *restrict dh)
{
    for (int i = 0; i < n; i++) dh[i] = rw_put(add, dh[i], dy[2 * n + i]);
}

/* dx may be dy (rw_op.shares_gradient). */
static void input_gradient_row(int n, const real *x, const real *dy, bool add, real *dx)
{
#pragma omp simd
    for (int i = 0; i < n; i++) {
        const real product = dy[i], beside = dy[n + i];
        dx[i] = rw_put(add, dx[i], product * x[n + i]);
        dx[n + i] = rw_put(add, dx[n + i], product * x[i]);
        dx[2 * n + i] = rw_put(add, dx[2 * n + i], beside);
    }
}

static void hyena_gate_backward(const rw_call *call)
{
    const int n = call->node->in_width[GATE_FILTER];
    real *dx = call->back.din[GATE_INPUT], *dh = call->back.din[GATE_FILTER];
    for (int t = 0; t < call->rows; t++) {
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        if (dh)
            filter_gradient_row(n, dy, call->back.din_add[GATE_FILTER],
                                rw_row_out(dh, call->back.din_ld[GATE_FILTER], t));
        if (dx)
            input_gradient_row(n, rw_row(call->in[GATE_INPUT], call->in_ld[GATE_INPUT], t), dy,
                               call->back.din_add[GATE_INPUT],
                               rw_row_out(dx, call->back.din_ld[GATE_INPUT], t));
    }
}

static void hyena_gate_reference(const rw_call *call)
{
    const int n = call->node->in_width[GATE_FILTER];
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[GATE_INPUT], call->in_ld[GATE_INPUT], t);
        const real *h = rw_row(call->in[GATE_FILTER], call->in_ld[GATE_FILTER], t);
        for (int i = 0; i < 3 * n; i++)
            rw_row_out(call->out, call->out_ld, t)[i] = i < n       ? x[i] * x[n + i]
                                                        : i < 2 * n ? x[n + i]
                                                                    : h[i - 2 * n];
    }
}

static double hyena_gate_flops(const rw_node *node, int rows)
{
    return (double)rows * node->in_width[GATE_FILTER];
}

/* The last quarter of x is the filter. */
static rw_status hyena_gate_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const int quarter = x.width / 4;
    return rw_hyena_gate(graph, rw_columns(x, 0, 3 * quarter), rw_columns(x, 3 * quarter, quarter),
                         y);
}

const rw_op rw_op_hyena_gate = {
    .name = "hyena_gate",
    .doc = "y = [v x1 | x2 | h] of [v | x1 | x2] and h",
    .source = "Poli et al. 2023, Hyena Hierarchy, definition 3.1",
    .promises = {.rowwise = true, .keeps_in = 1u << GATE_INPUT, .shares_gradient = true},
    .shape = hyena_gate_shape,
    .forward = hyena_gate_forward,
    .backward = hyena_gate_backward,
    .reference = hyena_gate_reference,
    .flops = hyena_gate_flops,
    .sample = hyena_gate_sample,
};

rw_status rw_hyena_gate(rw_graph *graph, rw_value x, rw_value h, rw_value *y)
{
    const rw_value in[] = {[GATE_INPUT] = x, [GATE_FILTER] = h};
    return rw_graph_apply(graph, &rw_op_hyena_gate, NULL, 0, in, 2, NULL, 0, y);
}
