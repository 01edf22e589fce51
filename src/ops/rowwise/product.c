/* y = a b, element by element: gates. */
#include "ops/rowwise/elementwise.h"

static void product_row(int n, const real *restrict a, const real *restrict b, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = a[i] * b[i];
}

static void product_forward(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        product_row(call->node->out_width, rw_row(call->in[0], call->in_ld[0], t),
                    rw_row(call->in[1], call->in_ld[1], t), rw_row_out(call->out, call->out_ld, t));
}

static void gradient_row(int n, const real *other, const real *dy, bool add, real *dx)
{
#pragma omp simd
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], dy[i] * other[i]);
}

/* Both gradients at once: each may overwrite its value, or both may go to one place, where the
 * second is added. */
static void gradient_rows(int n, const real *a, const real *b, const real *dy, const bool *add,
                          real *da, real *db)
{
    const bool add_a = add[0], add_b = add[1];
#pragma omp simd
    for (int i = 0; i < n; i++) {
        const real ai = a[i], bi = b[i], dyi = dy[i];
        da[i] = rw_put(add_a, da[i], dyi * bi);
        db[i] = rw_put(add_b, db[i], dyi * ai);
    }
}

static void product_backward(const rw_call *call)
{
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t), *in[2];
        real *din[2];
        for (int k = 0; k < 2; k++) {
            in[k] = rw_row(call->in[k], call->in_ld[k], t);
            din[k] =
                call->back.din[k] ? rw_row_out(call->back.din[k], call->back.din_ld[k], t) : NULL;
        }
        if (din[0] && din[1])
            gradient_rows(n, in[0], in[1], dy, call->back.din_add, din[0], din[1]);
        else
            for (int k = 0; k < 2; k++)
                if (din[k]) gradient_row(n, in[1 - k], dy, call->back.din_add[k], din[k]);
    }
}

static void product_reference(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i++)
            rw_row_out(call->out, call->out_ld, t)[i] = rw_row(call->in[0], call->in_ld[0], t)[i] *
                                                        rw_row(call->in[1], call->in_ld[1], t)[i];
}

static double product_flops(const rw_node *node, int rows)
{
    return (double)rows * node->out_width;
}

/* The two halves of x. */
static rw_status product_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const int half = x.width / 2;
    return rw_product(graph, rw_columns(x, 0, half), rw_columns(x, half, half), y);
}

const rw_op rw_op_product = {
    .name = "product",
    .doc = "y = a b, element by element",
    .promises = {.rowwise = true, .keeps_in = 1u << 0 | 1u << 1, .in_place = 1u << 0 | 1u << 1},
    .shape = rw_elementwise_shape,
    .forward = product_forward,
    .backward = product_backward,
    .reference = product_reference,
    .flops = product_flops,
    .sample = product_sample,
};

rw_status rw_product(rw_graph *graph, rw_value a, rw_value b, rw_value *y)
{
    const rw_value in[] = {a, b};
    return rw_graph_apply(graph, &rw_op_product, NULL, 0, in, 2, NULL, 0, y);
}
