/* A depthwise convolution, once its taps stand side by side (src/ops/convolution/delays.c):
 *
 *   y_c = bias_c + sum_k weight_k,c x[k D + c],   weight (K, D), x (tokens, K D) */
#include <math.h>

#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_tap_sum;

enum { WEIGHT, BIAS, PARAMS };

static rw_status tap_sum_shape(const rw_node *node, int *out_width)
{
    const long taps = node->param_rows[WEIGHT], width = node->param_cols[WEIGHT];
    if (node->in_width[0] != taps * width || node->param_cols[BIAS] != width)
        return rw_fail(RW_USAGE,
                       "tap_sum: weight (%ld, %ld) and bias of %ld do not fit %d columns; give "
                       "taps times width columns",
                       taps, width, node->param_cols[BIAS], node->in_width[0]);
    *out_width = (int)width;
    return RW_OK;
}

static void add_product_row(int n, const real *restrict a, const real *restrict b, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] += a[i] * b[i];
}

static void tap_sum_forward(const rw_call *call)
{
    const int n = call->node->out_width, taps = (int)call->node->param_rows[WEIGHT];
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        real *y = rw_row_out(call->out, call->out_ld, t);
        memcpy(y, call->param[BIAS], (size_t)n * sizeof *y);
        for (int k = 0; k < taps; k++)
            add_product_row(n, call->param[WEIGHT] + k * n, x + k * n, y);
    }
}

static void input_gradient_row(int n, const real *restrict w, const real *restrict dy, bool add,
                               real *restrict dx)
{
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], w[i] * dy[i]);
}

static void tap_sum_backward(const rw_call *call)
{
    const int n = call->node->out_width, taps = (int)call->node->param_rows[WEIGHT];
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        for (int i = 0; i < n; i++) call->back.dparam[BIAS][i] += dy[i];
        for (int k = 0; k < taps; k++)
            add_product_row(n, x + k * n, dy, call->back.dparam[WEIGHT] + k * n);
        for (int k = 0; k < taps && call->back.din[0]; k++)
            input_gradient_row(n, call->param[WEIGHT] + k * n, dy, call->back.din_add[0],
                               rw_row_out(call->back.din[0], call->back.din_ld[0], t) + k * n);
    }
}

static void tap_sum_reference(const rw_call *call)
{
    const long n = call->node->param_cols[WEIGHT], taps = call->node->param_rows[WEIGHT];
    for (long t = 0; t < call->rows; t++)
        for (long c = 0; c < n; c++) {
            double sum = call->param[BIAS][c];
            for (long k = 0; k < taps; k++)
                sum += (double)call->param[WEIGHT][k * n + c] *
                       call->in[0][t * call->in_ld[0] + k * n + c];
            call->out[t * call->out_ld + c] = (real)sum;
        }
}

static double tap_sum_flops(const rw_node *node, int rows)
{
    return 2.0 * rows * node->in_width[0];
}

rw_status rw_tap_sum(rw_graph *graph, rw_value x, const char *name, int taps, rw_value *y)
{
    const int width = x.width / taps;
    int params[PARAMS];
    RW_TRY(rw_graph_weight(graph, name, taps, width, 1 / sqrt(taps), &params[WEIGHT]));
    RW_TRY(rw_graph_vector(graph, name, "bias", width, NULL, 0, &params[BIAS]));
    return rw_graph_apply(graph, &rw_op_tap_sum, NULL, 0, &x, 1, params, PARAMS, y);
}

static rw_status tap_sum_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_tap_sum(graph, x, "taps", 4, y);
}

const rw_op rw_op_tap_sum = {
    .name = "tap_sum",
    .doc = "weighted sum of equal groups of columns, channel by channel, with bias",
    .source = "Chollet 2017, Xception: deep learning with depthwise separable convolutions",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = tap_sum_shape,
    .forward = tap_sum_forward,
    .backward = tap_sum_backward,
    .reference = tap_sum_reference,
    .flops = tap_sum_flops,
    .sample = tap_sum_sample,
};
