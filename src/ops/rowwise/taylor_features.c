/* Features whose products are the exponential to second order: per head of d
 * columns, with s = d^(-1/4),
 *
 *   phi(x) = (1 | s x_i | s^2 x_i^2 / sqrt 2 and s^2 x_i x_j, i < j)
 *   phi(x).phi(y) = 1 + u + u^2 / 2,   u = x.y / sqrt d
 *
 * The published map has both x_i x_j and x_j x_i over sqrt 2: d (d-1) / 2
 * columns more, with the same products. phi(x).phi(y) is at least 1/2. */
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_taylor_features;

typedef struct {
    int heads;
} attributes;

static int features_of(int d)
{
    return 1 + d + d * (d + 1) / 2;
}

static int head_width(const rw_node *node)
{
    const attributes *attr = node->attributes;
    return node->in_width[0] / attr->heads;
}

static rw_status taylor_features_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    RW_TRY(rw_check_heads(node, attr->heads, node->in_width[0]));
    *out_width = attr->heads * features_of(head_width(node));
    return RW_OK;
}

static rw_status taylor_features_sizes(rw_node *node)
{
    node->size.scratch = (size_t)head_width(node);
    return RW_OK;
}

static void features_row(int d, const real *restrict x, real *restrict y)
{
    const real square = (real)(1 / sqrt(d)), scale = (real)sqrt(1 / sqrt(d));
    y[0] = 1;
    for (int i = 0; i < d; i++) y[1 + i] = scale * x[i];
    real *restrict pair = y + 1 + d;
    for (int i = 0; i < d; pair += d - i, i++) {
        const real factor = square * x[i];
        pair[0] = (real)M_SQRT1_2 * factor * x[i];
        for (int j = i + 1; j < d; j++) pair[j - i] = factor * x[j];
    }
}

static void taylor_features_forward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int d = head_width(call->node), n = features_of(d);
    for (int t = 0; t < call->rows; t++)
        for (int h = 0; h < attr->heads; h++)
            features_row(d, rw_row(call->in[0], call->in_ld[0], t) + h * d,
                         rw_row_out(call->out, call->out_ld, t) + h * n);
}

/* g = dx */
static void gradient_row(int d, const real *restrict x, const real *restrict dy, real *restrict g)
{
    const real square = (real)(1 / sqrt(d)), scale = (real)sqrt(1 / sqrt(d));
    for (int i = 0; i < d; i++) g[i] = scale * dy[1 + i];
    const real *restrict pair = dy + 1 + d;
    for (int i = 0; i < d; pair += d - i, i++) {
        real sum = (real)M_SQRT2 * pair[0] * x[i];
        for (int j = i + 1; j < d; j++) {
            sum += pair[j - i] * x[j];
            g[j] += square * pair[j - i] * x[i];
        }
        g[i] += square * sum;
    }
}

static void taylor_features_backward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int d = head_width(call->node), n = features_of(d);
    if (!call->back.din[0]) return;
    for (int t = 0; t < call->rows; t++)
        for (int h = 0; h < attr->heads; h++) {
            real *dx = rw_row_out(call->back.din[0], call->back.din_ld[0], t) + h * d;
            gradient_row(d, rw_row(call->in[0], call->in_ld[0], t) + h * d,
                         rw_row(call->back.dout, call->back.dout_ld, t) + h * n, call->scratch);
            for (int i = 0; i < d; i++)
                dx[i] = rw_put(call->back.din_add[0], dx[i], call->scratch[i]);
        }
}

static void taylor_features_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int d = call->node->in_width[0] / attr->heads;
    for (int t = 0; t < call->rows; t++) {
        real *y = rw_row_out(call->out, call->out_ld, t);
        for (int h = 0; h < attr->heads; h++) {
            const real *x = rw_row(call->in[0], call->in_ld[0], t) + h * d;
            *y++ = 1;
            for (int i = 0; i < d; i++) *y++ = (real)(x[i] * pow(d, -0.25));
            for (int i = 0; i < d; i++)
                for (int j = i; j < d; j++)
                    *y++ = (real)((double)x[i] * x[j] / sqrt(i == j ? 2.0 * d : d));
        }
    }
}

static double taylor_features_flops(const rw_node *node, int rows)
{
    return 1.0 * rows * node->out_width;
}

/* Four columns a head. */
static rw_status taylor_features_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_taylor_features(graph, x, x.width / 4, y);
}

const rw_op rw_op_taylor_features = {
    .name = "taylor_features",
    .doc = "features of each head whose products are 1 + u + u^2/2, u = x.y / sqrt d",
    .source = "Arora et al. 2024, Simple linear attention language models, section 4.1 (Based)",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = taylor_features_shape,
    .sizes = taylor_features_sizes,
    .forward = taylor_features_forward,
    .backward = taylor_features_backward,
    .reference = taylor_features_reference,
    .flops = taylor_features_flops,
    .sample = taylor_features_sample,
};

rw_status rw_taylor_features(rw_graph *graph, rw_value x, int heads, rw_value *y)
{
    const attributes attr = {.heads = heads};
    return rw_graph_apply(graph, &rw_op_taylor_features, &attr, sizeof attr, &x, 1, NULL, 0, y);
}
