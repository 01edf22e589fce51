/* Shared by the norms of a row. */
#ifndef RW_ROW_NORM_H
#define RW_ROW_NORM_H

#include <math.h>

#include "kernels/row_sum.h"
#include "ops/rowwise/elementwise.h"

#define RW_NORM_EPSILON 1e-5 /* added to the mean square */

/* 1 / sqrt(sum / n + epsilon), of a sum of n squares. */
static inline real rw_inverse_root(int n, real sum)
{
    return (real)(1 / sqrt((double)sum / n + RW_NORM_EPSILON));
}

/* rw_op.sizes of a normalisation whose backward works on `rows` rows of scratch. */
static inline rw_status rw_norm_sizes(rw_node *node, int rows)
{
    node->size.scratch = (size_t)rows * (size_t)node->out_width;
    return RW_OK;
}

#endif
