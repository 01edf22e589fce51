/* RMS normalisation of each head, then a gate: with z the gate, per head of n
 * columns,
 *
 *   y_i = w_i x_i r silu(z_i),   r = 1 / sqrt(mean(x^2) + epsilon)
 *   u_i = dy_i silu(z_i)    dx_i = r (w_i u_i - x_i r^2 mean_j(w_j u_j x_j))
 *   dw_i += u_i x_i r       dz_i = dy_i w_i x_i r silu'(z_i) */
#include "ops/rowwise/row_norm.h"

extern const rw_op rw_op_gated_head_norm;

/* Larger than the epsilon of the other norms. A head of linear attention may read almost nothing (q
 * at right angles to the only key so far); its direction is then mostly rounding. The epsilon
 * bounds r, the factor of such gradients, by 32. */
#define EPSILON 1e-3

typedef struct {
    int heads;
} attributes;

static int head_width(const rw_node *node)
{
    const attributes *attr = node->attributes;
    return node->out_width / attr->heads;
}

static rw_status gated_head_norm_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    RW_TRY(rw_elementwise_shape(node, out_width));
    return rw_check_heads(node, attr->heads, *out_width);
}

static rw_status gated_head_norm_sizes(rw_node *node)
{
    return rw_norm_sizes(node, 2);
}

static real inverse_root(int n, const real *x)
{
    return (real)(1 / sqrt((double)rw_row_dot(n, x, x) / n + EPSILON));
}

static void head_row(int n, const real *restrict x, const real *restrict z, const real *restrict w,
                     real *restrict y)
{
    const real r = inverse_root(n, x);
    for (int i = 0; i < n; i++) y[i] = x[i] * r * w[i] * (z[i] * rw_sigmoid(z[i]));
}

static void gated_head_norm_forward(const rw_call *call)
{
    const int n = head_width(call->node);
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i += n)
            head_row(n, rw_row(call->in[0], call->in_ld[0], t) + i,
                     rw_row(call->in[1], call->in_ld[1], t) + i, call->param[0] + i,
                     rw_row_out(call->out, call->out_ld, t) + i);
}

/* u = dy silu(z), s = sigmoid(z) */
static void gate_row(int n, const real *restrict z, const real *restrict dy, real *restrict s,
                     real *restrict u)
{
    for (int i = 0; i < n; i++) {
        s[i] = rw_sigmoid(z[i]);
        u[i] = dy[i] * (z[i] * s[i]);
    }
}

static void gate_gradient_row(int n, real r, const real *restrict x, const real *restrict z,
                              const real *restrict w, const real *restrict s,
                              const real *restrict dy, bool add, real *restrict dz)
{
    for (int i = 0; i < n; i++)
        dz[i] = rw_put(add, dz[i], dy[i] * w[i] * x[i] * r * (s[i] + z[i] * s[i] * (1 - s[i])));
}

/* u becomes w u. */
static void input_gradient_row(int n, real r, const real *restrict x, const real *restrict w,
                               real *restrict u, bool add, real *restrict dx)
{
    for (int i = 0; i < n; i++) u[i] *= w[i];
    const real along = rw_row_dot(n, u, x) * r * r / (real)n;
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], r * (u[i] - x[i] * along));
}

static void head_backward(const rw_call *call, int t, int begin, int n)
{
    const real *x = rw_row(call->in[0], call->in_ld[0], t) + begin;
    const real *z = rw_row(call->in[1], call->in_ld[1], t) + begin;
    const real *dy = rw_row(call->back.dout, call->back.dout_ld, t) + begin;
    const real *w = call->param[0] + begin;
    real *s = call->scratch, *u = s + n, *dw = call->back.dparam[0] + begin;
    const real r = inverse_root(n, x);
    gate_row(n, z, dy, s, u);
    for (int i = 0; i < n; i++) dw[i] += u[i] * (x[i] * r);
    if (call->back.din[1])
        gate_gradient_row(n, r, x, z, w, s, dy, call->back.din_add[1],
                          rw_row_out(call->back.din[1], call->back.din_ld[1], t) + begin);
    if (call->back.din[0])
        input_gradient_row(n, r, x, w, u, call->back.din_add[0],
                           rw_row_out(call->back.din[0], call->back.din_ld[0], t) + begin);
}

static void gated_head_norm_backward(const rw_call *call)
{
    const int n = head_width(call->node);
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i += n) head_backward(call, t, i, n);
}

static void gated_head_norm_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->in_width[0] / attr->heads;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        const real *z = rw_row(call->in[1], call->in_ld[1], t);
        for (int i = 0; i < attr->heads * n; i++) {
            double square = 0;
            for (int k = i / n * n; k < i / n * n + n; k++) square += (double)x[k] * x[k];
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)(call->param[0][i] * x[i] / sqrt(square / n + 1e-3) * z[i] /
                       (1 + exp(-(double)z[i])));
        }
    }
}

static double gated_head_norm_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 9.0) * rows * node->out_width;
}

/* The right half of x gates the left one, in heads of one quarter. */
static rw_status gated_head_norm_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const int half = x.width / 2;
    return rw_gated_head_norm(graph, rw_columns(x, 0, half), rw_columns(x, half, half), 4, "norm",
                              y);
}

const rw_op rw_op_gated_head_norm = {
    .name = "gated_head_norm",
    .doc = "y = x / rms(x) * weight * silu(gate), head by head",
    .source = "Yang et al. 2023, Gated linear attention transformers, section 4.4",
    .promises = {.rowwise = true, .keeps_in = 1u << 0 | 1u << 1},
    .shape = gated_head_norm_shape,
    .sizes = gated_head_norm_sizes,
    .forward = gated_head_norm_forward,
    .backward = gated_head_norm_backward,
    .reference = gated_head_norm_reference,
    .flops = gated_head_norm_flops,
    .sample = gated_head_norm_sample,
};

rw_status rw_gated_head_norm(rw_graph *graph, rw_value x, rw_value gate, int heads,
                             const char *name, rw_value *y)
{
    int weight;
    const attributes attr = {.heads = heads};
    const rw_value in[] = {x, gate};
    RW_TRY(rw_graph_vector(graph, name, "weight", x.width, NULL, 1, &weight));
    return rw_graph_apply(graph, &rw_op_gated_head_norm, &attr, sizeof attr, in, 2, &weight, 1, y);
}
