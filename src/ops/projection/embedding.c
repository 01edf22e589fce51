/* Embedding: y[t] = table[token[t]]. */
#include <string.h>

#include "graph/layers.h"

static rw_status embedding_shape(const rw_node *node, int *out_width)
{
    *out_width = (int)node->param_cols[0];
    return RW_OK;
}

static void embedding_forward(const rw_call *call)
{
    size_t width = (size_t)call->node->out_width;
    for (int t = 0; t < call->rows; t++)
        memcpy(call->out + (size_t)t * (size_t)call->out_ld,
               call->param[0] + (size_t)call->data.tokens[t] * width, width * sizeof(real));
}

static void embedding_backward(const rw_call *call)
{
    int width = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        real *row = call->back.dparam[0] + (size_t)call->data.tokens[t] * (size_t)width;
        const real *dout = call->back.dout + (size_t)t * (size_t)call->back.dout_ld;
        for (int d = 0; d < width; d++) row[d] += dout[d];
    }
}

static void embedding_reference(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        for (int d = 0; d < call->node->out_width; d++)
            call->out[t * call->out_ld + d] =
                call->param[0][call->data.tokens[t] * call->node->out_width + d];
}

static double embedding_flops(const rw_node *node, int rows)
{
    (void)node, (void)rows;
    return 0;
}

/* Only the rows of the table that the tokens name. */
static double embedding_bytes(const rw_node *node, int rows, bool backward)
{
    return (backward ? 3.0 : 2.0) * rows * node->out_width * (double)sizeof(real);
}

static rw_status embedding_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    int table;
    rw_value e;
    RW_TRY(rw_embedding(graph, "embedding", 11, x.width, &table, &e));
    return rw_residual(graph, x, e, y);
}

const rw_op rw_op_embedding = {
    .name = "embedding",
    .doc = "a learned vector for each token",
    .promises = {.rowwise = true},
    .shape = embedding_shape,
    .forward = embedding_forward,
    .backward = embedding_backward,
    .reference = embedding_reference,
    .flops = embedding_flops,
    .bytes = embedding_bytes,
    .sample = embedding_sample,
};

rw_status rw_embedding(rw_graph *graph, const char *name, int vocab, int width, int *table,
                       rw_value *y)
{
    RW_TRY(rw_graph_weight(graph, name, vocab, width, 0.02, table));
    return rw_graph_apply(graph, &rw_op_embedding, NULL, 0, NULL, 0, table, 1, y);
}
