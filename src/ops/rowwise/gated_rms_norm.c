/* RMS normalisation of a gated row, u = x silu(z), z being the gate:
 *
 *   y_i = w_i u_i r,   r = 1 / sqrt(mean(u^2) + epsilon)
 *   du_i = r (w_i dy_i - u_i r^2 mean_j(w_j dy_j u_j)),   dw_i += dy_i u_i r
 *   dx_i = du_i silu(z_i),   dz_i = du_i x_i silu'(z_i) */
#include "ops/rowwise/row_norm.h"

/* s = sigmoid(z), u = x silu(z). */
static void gate_row(int n, const real *restrict x, const real *restrict z, real *restrict s,
                     real *restrict u)
{
    for (int i = 0; i < n; i++) {
        s[i] = rw_sigmoid(z[i]);
        u[i] = x[i] * (z[i] * s[i]);
    }
}

static void norm_row(int n, const real *restrict w, real *restrict y)
{
    const real r = rw_inverse_root(n, rw_row_dot(n, y, y));
    for (int i = 0; i < n; i++) y[i] = y[i] * r * w[i];
}

static void gated_rms_norm_forward(const rw_call *call)
{
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        real *y = rw_row_out(call->out, call->out_ld, t);
        gate_row(n, rw_row(call->in[0], call->in_ld[0], t), rw_row(call->in[1], call->in_ld[1], t),
                 call->scratch, y);
        norm_row(n, call->param[0], y);
    }
}

/* g = du, and the gradient of the weight. */
static void norm_gradient_row(int n, const real *restrict u, const real *restrict w,
                              const real *restrict dy, real *restrict g, real *restrict dw)
{
    const real r = rw_inverse_root(n, rw_row_dot(n, u, u));
    for (int i = 0; i < n; i++) {
        dw[i] += dy[i] * (u[i] * r);
        g[i] = w[i] * dy[i];
    }
    const real along = rw_row_dot(n, g, u) * r * r / (real)n;
    for (int i = 0; i < n; i++) g[i] = r * (g[i] - u[i] * along);
}

/* The gradients of x and z from g = du; s = sigmoid(z). Each gradient may overwrite its value
 * (promises.in_place). */
static void input_gradient_row(int n, const real *g, const real *s, const real *x, const real *z,
                               const bool *add, real *dx, real *dz)
{
    const bool add_x = add[0], add_z = add[1];
#pragma omp simd
    for (int i = 0; i < n; i++) {
        const real xi = x[i], zi = z[i], si = s[i], gi = g[i];
        dx[i] = rw_put(add_x, dx[i], gi * (zi * si));
        dz[i] = rw_put(add_z, dz[i], gi * xi * (si + zi * si * (1 - si)));
    }
}

static void gated_rms_norm_backward(const rw_call *call)
{
    const int n = call->node->out_width;
    real *s = call->scratch, *u = s + n, *g = u + n;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        const real *z = rw_row(call->in[1], call->in_ld[1], t);
        gate_row(n, x, z, s, u);
        norm_gradient_row(n, u, call->param[0], rw_row(call->back.dout, call->back.dout_ld, t), g,
                          call->back.dparam[0]);
        /* An unwanted gradient goes to scratch. */
        real *dx = call->back.din[0] ? rw_row_out(call->back.din[0], call->back.din_ld[0], t) : u;
        real *dz = call->back.din[1] ? rw_row_out(call->back.din[1], call->back.din_ld[1], t) : s;
        input_gradient_row(n, g, s, x, z, call->back.din_add, dx, dz);
    }
}

static double naive_gate(double x, double z)
{
    return x * z / (1 + exp(-z));
}

static void gated_rms_norm_reference(const rw_call *call)
{
    const int n = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        const real *z = rw_row(call->in[1], call->in_ld[1], t);
        double square = 0;
        for (int i = 0; i < n; i++) square += pow(naive_gate(x[i], z[i]), 2);
        for (int i = 0; i < n; i++)
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)(call->param[0][i] * naive_gate(x[i], z[i]) / sqrt(square / n + 1e-5));
    }
}

static rw_status gated_rms_norm_sizes(rw_node *node)
{
    return rw_norm_sizes(node, 3);
}

static double gated_rms_norm_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 9.0) * rows * node->out_width;
}

/* The right half of x gates the left one. */
static rw_status gated_rms_norm_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const int half = x.width / 2;
    return rw_gated_rms_norm(graph, rw_columns(x, 0, half), rw_columns(x, half, half), "norm", y);
}

const rw_op rw_op_gated_rms_norm = {
    .name = "gated_rms_norm",
    .doc = "y = u / rms(u) * weight, u = x silu(gate)",
    .source = "Dao and Gu 2024, Transformers are SSMs, section 7.1",
    .promises = {.rowwise = true, .keeps_in = 1u << 0 | 1u << 1, .in_place = 1u << 0 | 1u << 1},
    .shape = rw_elementwise_shape,
    .sizes = gated_rms_norm_sizes,
    .forward = gated_rms_norm_forward,
    .backward = gated_rms_norm_backward,
    .reference = gated_rms_norm_reference,
    .flops = gated_rms_norm_flops,
    .sample = gated_rms_norm_sample,
};

rw_status rw_gated_rms_norm(rw_graph *graph, rw_value x, rw_value gate, const char *name,
                            rw_value *y)
{
    int weight;
    const rw_value in[] = {x, gate};
    RW_TRY(rw_graph_vector(graph, name, "weight", x.width, NULL, 1, &weight));
    return rw_graph_apply(graph, &rw_op_gated_rms_norm, NULL, 0, in, 2, &weight, 1, y);
}
