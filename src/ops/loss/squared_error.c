/* Squared error fused with the output projection:
 * loss = mean over features of (x W^T + b - target)^2; a row whose first target
 * is NAN does not count. */
#include <math.h>

#include "graph/layers.h"
#include "ops/loss/projected_loss.h"
#include "ops/projection/weight_product.h"

static int features_of(const rw_call *call)
{
    return (int)call->node->param_rows[0];
}

static const real *target_of(const rw_call *call, int t)
{
    return call->data.target_features + (size_t)t * (size_t)features_of(call);
}

static bool squared_error_counts(const rw_call *call, int t)
{
    return !isnan(target_of(call, t)[0]);
}

static double squared_error_row_loss(const rw_call *call, int t, real *prediction)
{
    const int features = features_of(call);
    const real *target = target_of(call, t), *bias = call->param[1];
    double sum = 0;
    for (int f = 0; f < features; f++) {
        real error = prediction[f] + bias[f] - target[f];
        sum += (double)error * (double)error;
        prediction[f] = 2 * call->loss.scale * error / (real)features;
    }
    return sum / features;
}

static void squared_error_row_backward(const rw_call *call, const real *gradient)
{
    for (int f = 0; f < features_of(call); f++) call->back.dparam[1][f] += gradient[f];
}

static const rw_projected_loss loss = {.counts = squared_error_counts,
                                       .row_loss = squared_error_row_loss,
                                       .row_backward = squared_error_row_backward};

static void squared_error_forward(const rw_call *call)
{
    rw_projected_loss_forward(&loss, call);
}

static void squared_error_backward(const rw_call *call)
{
    rw_projected_loss_backward(&loss, call);
}

static void squared_error_reference(const rw_call *call)
{
    int features = (int)call->node->param_rows[0], width = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++) {
        if (isnan(call->data.target_features[t * features])) continue;
        for (int f = 0; f < features; f++) {
            double error = call->param[1][f] - call->data.target_features[t * features + f];
            for (int d = 0; d < width; d++)
                error += (double)call->in[0][t * call->in_ld[0] + d] *
                         (double)call->param[0][f * width + d];
            *call->loss.sum += error * error / features;
        }
    }
}

/* The prediction of one token. */
static void squared_error_step(const rw_call *call)
{
    rw_weight_product(call, 1, call->in[0], call->in_ld[0], false, call->loss.scores,
                      features_of(call), NULL);
    for (int f = 0; f < features_of(call); f++) call->loss.scores[f] += call->param[1][f];
}

static double squared_error_flops(const rw_node *node, int rows)
{
    return 2.0 * rows * (double)node->param_rows[0] * node->in_width[0];
}

static rw_status squared_error_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    (void)y;
    return rw_squared_error(graph, x, "head", 3);
}

const rw_op rw_op_squared_error = {
    .name = "squared_error",
    .doc = "output projection and mean squared error, fused",
    .is_loss = true,
    .promises = {.keeps_in = 1},
    .shape = rw_projected_loss_shape,
    .sizes = rw_projected_loss_sizes,
    .prepare = rw_weight_product_prepare,
    .forward = squared_error_forward,
    .backward = squared_error_backward,
    .reference = squared_error_reference,
    .step = squared_error_step,
    .flops = squared_error_flops,
    .bytes = rw_weight_product_bytes,
    .sample = squared_error_sample,
};

rw_status rw_squared_error(rw_graph *graph, rw_value x, const char *name, int features)
{
    int params[2];
    RW_TRY(rw_graph_weight(graph, name, features, x.width, 1 / sqrt(x.width), &params[0]));
    RW_TRY(rw_graph_vector(graph, name, "bias", features, NULL, 0, &params[1]));
    return rw_graph_apply(graph, &rw_op_squared_error, NULL, 0, &x, 1, params, 2, NULL);
}
