/* The rows of each document in reverse order, so that a causal mixer reads later tokens. Row r of a
 * document [s, e) goes to row s + e - 1 - r. The op is its own inverse and its own gradient. */
#include <stdint.h>
#include <string.h>

#include "mpi/row_exchange.h"
#include "graph/layers.h"
#include "data/documents.h"

extern const rw_op rw_op_reverse;

static rw_status reverse_shape(const rw_node *node, int *out_width)
{
    *out_width = node->in_width[0];
    return RW_OK;
}

static size_t key_reals(const rw_span *span)
{
    return (size_t)(span->most * span->stride) * sizeof(int64_t) / sizeof(real);
}

static size_t reverse_workspace(const rw_node *node, const rw_span *span)
{
    return key_reals(span) + rw_rows_buffer(span, node->in_width[0]);
}

/* The document of sequence b that holds row r. */
static rw_range document_at(const rw_global *g, long b, long r)
{
    const long length = g->span.length;
    const uint8_t *starts = g->starts ? g->starts + b * length : NULL;
    return (rw_range){rw_document_begin(starts, r), rw_document_end(starts, r, length)};
}

static void set_keys(const rw_global *g, int64_t *keys)
{
    for (long b = 0; b < g->span.sequences; b++) {
        rw_range document = {0, 0};
        for (long r = g->span.rows.begin; r < g->span.rows.end; r++) {
            if (r >= document.end) document = document_at(g, b, r);
            keys[b * g->span.stride + r - g->span.rows.begin] =
                document.begin + document.end - 1 - r;
        }
    }
}

static void move(const rw_global *g, const real *from, int from_ld, real *to, int to_ld, bool add)
{
    int64_t *keys = (void *)g->workspace; /* | keys | buffer of the exchange | */
    set_keys(g, keys);
    rw_rows_exchange(&g->span, g->node->in_width[0], keys, from, from_ld, to, to_ld, add,
                     g->workspace + key_reals(&g->span));
}

static void reverse_forward(const rw_global *g)
{
    move(g, g->in[0], g->in_ld[0], g->out, g->out_ld, false);
}

static void reverse_backward(const rw_global *g)
{
    if (g->din[0]) move(g, g->dout, g->dout_ld, g->din[0], g->din_ld[0], g->din_add[0]);
}

static void reverse_reference(const rw_call *call)
{
    const size_t width = (size_t)call->node->in_width[0];
    for (int t = 0; t < call->rows; t++)
        memcpy(call->out + (size_t)t * (size_t)call->out_ld,
               call->in[0] + (size_t)(call->rows - 1 - t) * (size_t)call->in_ld[0],
               width * sizeof(real));
}

static double reverse_flops(const rw_node *node, int rows)
{
    (void)node, (void)rows;
    return 0;
}

rw_status rw_reverse(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_graph_apply(graph, &rw_op_reverse, NULL, 0, &x, 1, NULL, 0, y);
}

const rw_op rw_op_reverse = {
    .name = "reverse",
    .doc = "the rows of each document in reverse order",
    .source = "Schuster and Paliwal 1997, Bidirectional recurrent neural networks",
    .sees_ahead = true,
    .shape = reverse_shape,
    .reference = reverse_reference,
    .global = &(const rw_global_carry){.workspace = reverse_workspace,
                                       .forward = reverse_forward,
                                       .backward = reverse_backward},
    .flops = reverse_flops,
    .sample = rw_reverse,
};
