/* RMS normalisation of a row of n columns, with a weight per column:
 *
 *   y_i = w_i x_i r,   r = 1 / sqrt(mean(x^2) + epsilon)
 *   dx_i = r (w_i dy_i - x_i r^2 mean_j(w_j dy_j x_j)),   dw_i += dy_i x_i r */
#include "ops/rowwise/row_norm.h"

static void norm_row(int n, const real *restrict x, const real *restrict w, real *restrict y)
{
    const real r = rw_inverse_root(n, rw_row_dot(n, x, x));
    for (int i = 0; i < n; i++) y[i] = x[i] * r * w[i];
}

static void rms_norm_forward(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        norm_row(call->node->out_width, rw_row(call->in[0], call->in_ld[0], t), call->param[0],
                 rw_row_out(call->out, call->out_ld, t));
}

static void weight_gradient_row(int n, real r, const real *restrict x, const real *restrict dy,
                                real *restrict dw)
{
    for (int i = 0; i < n; i++) dw[i] += dy[i] * (x[i] * r);
}

static void input_gradient_row(int n, real r, const real *restrict x, const real *restrict w,
                               const real *restrict dy, real *restrict g, bool add,
                               real *restrict dx)
{
    for (int i = 0; i < n; i++) g[i] = w[i] * dy[i];
    const real along = rw_row_dot(n, g, x) * r * r / (real)n;
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], r * (g[i] - x[i] * along));
}

static void rms_norm_backward(const rw_call *call)
{
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        const real r = rw_inverse_root(n, rw_row_dot(n, x, x));
        weight_gradient_row(n, r, x, dy, call->back.dparam[0]);
        if (call->back.din[0])
            input_gradient_row(n, r, x, call->param[0], dy, call->scratch, call->back.din_add[0],
                               rw_row_out(call->back.din[0], call->back.din_ld[0], t));
    }
}

static void rms_norm_reference(const rw_call *call)
{
    const int n = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        double square = 0;
        for (int i = 0; i < n; i++) square += (double)x[i] * x[i];
        for (int i = 0; i < n; i++)
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)(call->param[0][i] * x[i] / sqrt(square / n + 1e-5));
    }
}

static rw_status rms_norm_sizes(rw_node *node)
{
    return rw_norm_sizes(node, 1);
}

static double rms_norm_flops(const rw_node *node, int rows)
{
    return 4.0 * rows * node->out_width;
}

static rw_status rms_norm_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_rms_norm(graph, x, "norm", y);
}

const rw_op rw_op_rms_norm = {
    .name = "rms_norm",
    .doc = "y = x / rms(x) * weight",
    .source = "Zhang and Sennrich 2019, Root mean square layer normalization, equation 4",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = rw_elementwise_shape,
    .sizes = rms_norm_sizes,
    .forward = rms_norm_forward,
    .backward = rms_norm_backward,
    .reference = rms_norm_reference,
    .flops = rms_norm_flops,
    .sample = rms_norm_sample,
};

rw_status rw_rms_norm(rw_graph *graph, rw_value x, const char *name, rw_value *y)
{
    int weight;
    RW_TRY(rw_graph_vector(graph, name, "weight", x.width, NULL, 1, &weight));
    return rw_graph_apply(graph, &rw_op_rms_norm, NULL, 0, &x, 1, &weight, 1, y);
}
