/* The columns of each head divided by the head's last column, which is dropped: a weighted mean, if
 * append_ones added the ones to the values. With w the last of the n + 1 columns and e the epsilon:
 *
 *   y_i = x_i / (w + e)      dx_i = dy_i / (w + e)      dw = -sum_i dy_i y_i / (w + e) */
#include "kernels/row_sum.h"
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_divide_by_last;

/* For sums of weights, which are positive: prevents a division by zero when a sum underflows (as in
 * Katharopoulos et al. 2020). */
#define EPSILON 1e-6

typedef struct {
    int heads;
} attributes;

static rw_status divide_by_last_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    RW_TRY(rw_check_heads(node, attr->heads, node->in_width[0]));
    if (node->in_width[0] < 2 * attr->heads)
        return rw_fail(RW_USAGE,
                       "divide_by_last: %d columns are not at least 2 for each of %d heads",
                       node->in_width[0], attr->heads);
    *out_width = node->in_width[0] - attr->heads;
    return RW_OK;
}

static void divide_by_last_forward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->out_width / attr->heads;
    for (int t = 0; t < call->rows; t++) {
        const real *x = rw_row(call->in[0], call->in_ld[0], t);
        real *y = rw_row_out(call->out, call->out_ld, t);
        for (int h = 0; h < attr->heads; h++, x += n + 1, y += n) {
            const real inverse = 1 / (x[n] + (real)EPSILON);
            for (int i = 0; i < n; i++) y[i] = x[i] * inverse;
        }
    }
}

static void gradient_head(int n, const real *restrict x, const real *restrict dy, bool add,
                          real *restrict dx)
{
    const real inverse = 1 / (x[n] + (real)EPSILON);
    const real along = rw_row_dot(n, dy, x) * inverse;
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], dy[i] * inverse);
    dx[n] = rw_put(add, dx[n], -along * inverse);
}

static void divide_by_last_backward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->out_width / attr->heads;
    if (!call->back.din[0]) return;
    for (int t = 0; t < call->rows; t++)
        for (int h = 0; h < attr->heads; h++)
            gradient_head(n, rw_row(call->in[0], call->in_ld[0], t) + h * (n + 1),
                          rw_row(call->back.dout, call->back.dout_ld, t) + h * n,
                          call->back.din_add[0],
                          rw_row_out(call->back.din[0], call->back.din_ld[0], t) + h * (n + 1));
}

static void divide_by_last_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->out_width / attr->heads;
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < attr->heads * n; i++) {
            const real *x = rw_row(call->in[0], call->in_ld[0], t) + i / n * (n + 1);
            rw_row_out(call->out, call->out_ld, t)[i] = (real)(x[i % n] / ((double)x[n] + 1e-6));
        }
}

static double divide_by_last_flops(const rw_node *node, int rows)
{
    return 1.0 * rows * node->in_width[0];
}

/* Of positive columns, four a head. */
static rw_status divide_by_last_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    rw_value positive;
    RW_TRY(rw_elu_plus_one(graph, x, &positive));
    return rw_divide_by_last(graph, positive, x.width / 4, y);
}

const rw_op rw_op_divide_by_last = {
    .name = "divide_by_last",
    .doc = "the columns of each head over the head's last column",
    .source = "Katharopoulos et al. 2020, Transformers are RNNs, equation 9",
    .promises = {.rowwise = true, .keeps_in = 1u << 0},
    .shape = divide_by_last_shape,
    .forward = divide_by_last_forward,
    .backward = divide_by_last_backward,
    .reference = divide_by_last_reference,
    .flops = divide_by_last_flops,
    .sample = divide_by_last_sample,
};

rw_status rw_divide_by_last(rw_graph *graph, rw_value x, int heads, rw_value *y)
{
    const attributes attr = {.heads = heads};
    return rw_graph_apply(graph, &rw_op_divide_by_last, &attr, sizeof attr, &x, 1, NULL, 0, y);
}
