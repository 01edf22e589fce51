/* What the normalisations of a row share. */
#ifndef RW_ROW_NORM_H
#define RW_ROW_NORM_H

#include <math.h>
#include <stdio.h>

#include "kernels/row_sum.h"
#include "ops/elementwise.h"

#define RW_NORM_EPSILON 1e-5 /* added to the mean square */

/* 1 / sqrt(sum / n + epsilon), of a sum of n squares. */
static inline real rw_inverse_root(int n, real sum)
{
    return (real)(1 / sqrt((double)sum / n + RW_NORM_EPSILON));
}

/* Adds parameter NAME.SUFFIX (1, width) that starts at `value`. */
static inline rw_status rw_norm_param(rw_graph *graph, const char *name, const char *suffix,
                                      int width, double value, int *index)
{
    char full[256];
    const int length = snprintf(full, sizeof full, "%s.%s", name, suffix);
    if (length < 0 || (size_t)length >= sizeof full)
        return rw_fail(RW_USAGE, "the parameter name %s.%s is longer than %zu characters", name,
                       suffix, sizeof full - 1);
    const rw_param param = {
        .name = full,
        .rows = 1,
        .cols = width,
        .group = RW_GROUP_PLAIN,
        .init = rw_init_constant,
        .scale = value,
    };
    return rw_graph_param(graph, &param, index);
}

/* rw_op.shape of a normalisation whose backward works on `rows` rows of scratch. */
static inline rw_status rw_norm_shape(rw_node *node, int rows)
{
    RW_TRY(rw_elementwise_shape(node));
    node->scratch = (size_t)rows * (size_t)node->out_width;
    return RW_OK;
}

#endif
