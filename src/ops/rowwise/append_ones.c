/* A column of ones after the columns of each head. The weighted sum of such values ends with the
 * sum of the weights (ops/rowwise/divide_by_last.c divides by it). */
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_append_ones;

typedef struct {
    int heads;
} attributes;

static rw_status append_ones_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    RW_TRY(rw_check_heads(node, attr->heads, node->in_width[0]));
    *out_width = node->in_width[0] + attr->heads;
    return RW_OK;
}

static void append_ones_forward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->in_width[0] / attr->heads;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        real *y = rw_row_out(call->out, call->out_ld, t);
        for (int h = 0; h < attr->heads; h++, x += n, y += n + 1) {
            memcpy(y, x, sizeof(real) * (size_t)n);
            y[n] = 1;
        }
    }
}

static void append_ones_backward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->in_width[0] / attr->heads;
    if (!call->back.din[0]) return;
    for (int t = 0; t < call->rows; t++) {
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        real *dx = rw_row_out(call->back.din[0], call->back.din_ld[0], t);
        for (int h = 0; h < attr->heads; h++, dx += n, dy += n + 1)
            for (int i = 0; i < n; i++) dx[i] = rw_put(call->back.din_add[0], dx[i], dy[i]);
    }
}

static void append_ones_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->in_width[0] / attr->heads;
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < attr->heads * (n + 1); i++)
            rw_row_out(call->out, call->out_ld, t)[i] =
                i % (n + 1) == n ? 1 : rw_row(call->in[0], call->in_ld[0], t)[i - i / (n + 1)];
}

static double append_ones_flops(const rw_node *node, int rows)
{
    (void)node, (void)rows;
    return 0;
}

/* Four columns a head. */
static rw_status append_ones_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_append_ones(graph, x, x.width / 4, y);
}

const rw_op rw_op_append_ones = {
    .name = "append_ones",
    .doc = "a column of ones after the columns of each head",
    .promises = {.rowwise = true},
    .shape = append_ones_shape,
    .forward = append_ones_forward,
    .backward = append_ones_backward,
    .reference = append_ones_reference,
    .flops = append_ones_flops,
    .sample = append_ones_sample,
};

rw_status rw_append_ones(rw_graph *graph, rw_value x, int heads, rw_value *y)
{
    const attributes attr = {.heads = heads};
    return rw_graph_apply(graph, &rw_op_append_ones, &attr, sizeof attr, &x, 1, NULL, 0, y);
}
