/* Layer normalisation of a row of n columns, with weight and bias per column:
 *
 *   h_i = (x_i - mean(x)) r,   r = 1 / sqrt(mean((x - mean(x))^2) + epsilon)
 *   y_i = w_i h_i + b_i
 *   g_i = w_i dy_i,   dx_i = r (g_i - mean(g) - h_i mean(g h))
 *   dw_i += dy_i h_i,   db_i += dy_i */
#include "ops/rowwise/row_norm.h"

/* h, centred and scaled, and its r. Two passes: the variance of centred values does not cancel. */
static real standardise_row(int n, const real *restrict x, real *restrict h)
{
    const real mean = rw_row_sum(n, x) / (real)n;
    for (int i = 0; i < n; i++) h[i] = x[i] - mean;
    const real r = rw_inverse_root(n, rw_row_dot(n, h, h));
    for (int i = 0; i < n; i++) h[i] *= r;
    return r;
}

static void affine_row(int n, const real *restrict w, const real *restrict b, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = w[i] * y[i] + b[i];
}

static void layer_norm_forward(const rw_call *call)
{
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        real *y = rw_row_out(call->out, call->out_ld, t);
        standardise_row(n, rw_row(call->in[0], call->in_ld[0], t), y);
        affine_row(n, call->param[0], call->param[1], y);
    }
}

static void param_gradient_row(int n, const real *restrict h, const real *restrict dy,
                               real *restrict dw, real *restrict db)
{
    for (int i = 0; i < n; i++) {
        dw[i] += dy[i] * h[i];
        db[i] += dy[i];
    }
}

static void input_gradient_row(int n, real r, const real *restrict h, const real *restrict w,
                               const real *restrict dy, real *restrict g, bool add,
                               real *restrict dx)
{
    for (int i = 0; i < n; i++) g[i] = w[i] * dy[i];
    const real mean = rw_row_sum(n, g) / (real)n;
    const real along = rw_row_dot(n, g, h) / (real)n;
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], r * (g[i] - mean - h[i] * along));
}

static void layer_norm_backward(const rw_call *call)
{
    const int n = call->node->out_width;
    real *h = call->scratch, *g = call->scratch + n;
    for (int t = 0; t < call->rows; t++) {
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        const real r = standardise_row(n, rw_row(call->in[0], call->in_ld[0], t), h);
        param_gradient_row(n, h, dy, call->back.dparam[0], call->back.dparam[1]);
        if (call->back.din[0])
            input_gradient_row(n, r, h, call->param[0], dy, g, call->back.din_add[0],
                               rw_row_out(call->back.din[0], call->back.din_ld[0], t));
    }
}

static void layer_norm_reference(const rw_call *call)
{
    const int n = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        double mean = 0, variance = 0;
        for (int i = 0; i < n; i++) mean += (double)x[i] / n;
        for (int i = 0; i < n; i++) variance += pow(x[i] - mean, 2) / n;
        for (int i = 0; i < n; i++)
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)(call->param[0][i] * (x[i] - mean) / sqrt(variance + 1e-5) +
                       call->param[1][i]);
    }
}

static rw_status layer_norm_sizes(rw_node *node)
{
    return rw_norm_sizes(node, 2);
}

static double layer_norm_flops(const rw_node *node, int rows)
{
    return 7.0 * rows * node->out_width;
}

static rw_status layer_norm_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_layer_norm(graph, x, "norm", y);
}

const rw_op rw_op_layer_norm = {
    .name = "layer_norm",
    .doc = "y = (x - mean) / deviation * weight + bias",
    .source = "Ba, Kiros and Hinton 2016, Layer normalization, equation 4",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = rw_elementwise_shape,
    .sizes = layer_norm_sizes,
    .forward = layer_norm_forward,
    .backward = layer_norm_backward,
    .reference = layer_norm_reference,
    .flops = layer_norm_flops,
    .sample = layer_norm_sample,
};

rw_status rw_layer_norm(rw_graph *graph, rw_value x, const char *name, rw_value *y)
{
    int params[2];
    RW_TRY(rw_graph_vector(graph, name, "weight", x.width, NULL, 1, &params[0]));
    RW_TRY(rw_graph_vector(graph, name, "bias", x.width, NULL, 0, &params[1]));
    return rw_graph_apply(graph, &rw_op_layer_norm, NULL, 0, &x, 1, params, 2, y);
}
