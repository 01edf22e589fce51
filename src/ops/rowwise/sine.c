/* y = sin(w x) with a learned frequency w per column: dx = dy w cos(w x),
 * dw = dy x cos(w x). */
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_sine;

static rw_status sine_shape(const rw_node *node, int *out_width)
{
    *out_width = node->in_width[0];
    if (node->params != 1 || node->param_cols[0] != node->out_width)
        return rw_fail(RW_USAGE, "sine of width %d needs as many frequencies", node->out_width);
    return RW_OK;
}

static void sine_row(int n, const real *restrict w, const real *restrict x, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = rw_sine_value(w[i] * x[i]);
}

static void sine_forward(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        sine_row(call->node->out_width, call->param[0], rw_row(call->in[0], call->in_ld[0], t),
                 rw_row_out(call->out, call->out_ld, t));
}

static void input_gradient_row(int n, const real *restrict w, const real *restrict x,
                               const real *restrict dy, bool add, real *restrict dx)
{
    for (int i = 0; i < n; i++)
        dx[i] = rw_put(add, dx[i], dy[i] * (w[i] * rw_cosine_value(w[i] * x[i])));
}

static void frequency_gradient_row(int n, const real *restrict w, const real *restrict x,
                                   const real *restrict dy, real *restrict dw)
{
    for (int i = 0; i < n; i++) dw[i] += dy[i] * (x[i] * rw_cosine_value(w[i] * x[i]));
}

static void sine_backward(const rw_call *call)
{
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        frequency_gradient_row(n, call->param[0], x, dy, call->back.dparam[0]);
        if (call->back.din[0])
            input_gradient_row(n, call->param[0], x, dy, call->back.din_add[0],
                               rw_row_out(call->back.din[0], call->back.din_ld[0], t));
    }
}

static void sine_reference(const rw_call *call)
{
    for (long t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i++)
            call->out[t * call->out_ld + i] =
                (real)sin((double)call->param[0][i] * (double)call->in[0][t * call->in_ld[0] + i]);
}

static double sine_flops(const rw_node *node, int rows)
{
    return (1.0 + RW_EXP_FLOPS) * rows * node->out_width;
}

static rw_status sine_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_sine(graph, x, "sine", 1.5, y);
}

const rw_op rw_op_sine = {
    .name = "sine",
    .doc = "y = sin(w x), w learned",
    .source = "Sitzmann et al. 2020, Implicit neural representations with periodic activation "
              "functions; Poli et al. 2023, Hyena Hierarchy, section 3.3",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = sine_shape,
    .forward = sine_forward,
    .backward = sine_backward,
    .reference = sine_reference,
    .flops = sine_flops,
    .sample = sine_sample,
};

rw_status rw_sine(rw_graph *graph, rw_value x, const char *name, double frequency, rw_value *y)
{
    int w;
    RW_TRY(rw_graph_vector(graph, name, "frequency", x.width, NULL, frequency, &w));
    return rw_graph_apply(graph, &rw_op_sine, NULL, 0, &x, 1, &w, 1, y);
}
