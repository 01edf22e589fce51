/* Features: the real inputs of the data, as a value of the graph. */
#include <string.h>

#include "graph/layers.h"

typedef struct {
    int width;
} attributes;

static rw_status features_shape(const rw_node *node, int *out_width)
{
    *out_width = ((const attributes *)node->attributes)->width;
    return RW_OK;
}

static void features_forward(const rw_call *call)
{
    size_t width = (size_t)call->node->out_width;
    for (int t = 0; t < call->rows; t++)
        memcpy(call->out + (size_t)t * (size_t)call->out_ld,
               call->data.features + (size_t)t * width, width * sizeof(real));
}

/* Data has no gradient. */
static void features_backward(const rw_call *call)
{
    (void)call;
}

static void features_reference(const rw_call *call)
{
    for (int t = 0; t < call->rows; t++)
        for (int d = 0; d < call->node->out_width; d++)
            call->out[t * call->out_ld + d] = call->data.features[t * call->node->out_width + d];
}

static double features_flops(const rw_node *node, int rows)
{
    (void)node, (void)rows;
    return 0;
}

static rw_status features_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    rw_value f, wide;
    RW_TRY(rw_features(graph, 3, &f));
    rw_linear_options options = {.name = "wide", .width = x.width};
    RW_TRY(rw_linear(graph, f, &options, &wide));
    return rw_residual(graph, x, wide, y);
}

const rw_op rw_op_features = {
    .name = "features",
    .doc = "the real-valued inputs of the data",
    .promises = {.rowwise = true},
    .shape = features_shape,
    .forward = features_forward,
    .backward = features_backward,
    .reference = features_reference,
    .flops = features_flops,
    .sample = features_sample,
};

rw_status rw_features(rw_graph *graph, int features, rw_value *y)
{
    attributes a = {features};
    return rw_graph_apply(graph, &rw_op_features, &a, sizeof a, NULL, 0, NULL, 0, y);
}
