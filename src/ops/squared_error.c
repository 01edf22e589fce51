/* Squared error fused with the output projection:
 * loss = mean over features of (x W^T + b - target)^2; a row whose first target
 * is NAN does not count. */
#include <math.h>

#include "ops/layers.h"
#include "ops/weight_product.h"

/* Scratch: predictions of a chunk, then the room of their products. */
static size_t predictions(const rw_node *node)
{
    return (size_t)node->chunk * (size_t)node->param_rows[0];
}

static rw_status shape(rw_node *node)
{
    if (node->param_cols[0] != node->in_width[0])
        return rw_fail(RW_USAGE, "the output projection takes width %ld, its input has %d",
                       node->param_cols[0], node->in_width[0]);
    rw_weight_product_shape(node);
    node->scratch = predictions(node) + rw_weight_product_room(node, node->chunk);
    return RW_OK;
}

static void predict(const rw_call *call, real *out)
{
    int features = (int)call->node->param_rows[0];
    rw_weight_product(call, call->rows, call->in[0], call->in_ld[0], false, out, features,
                      call->scratch + predictions(call->node));
    for (int t = 0; t < call->rows; t++)
        for (int f = 0; f < features; f++) out[t * features + f] += call->param[1][f];
}

/* The loss of a row; leaves its gradient in place of the prediction. */
static double row_loss(real *prediction, const real *target, int features, real scale)
{
    double sum = 0;
    bool counts = !isnan(target[0]);
    for (int f = 0; f < features; f++) {
        real error = counts ? prediction[f] - target[f] : 0;
        sum += (double)error * (double)error;
        prediction[f] = 2 * scale * error / (real)features;
    }
    return sum / features;
}

static void forward(const rw_call *call)
{
    int features = (int)call->node->param_rows[0];
    predict(call, call->scratch);
    *call->loss = 0;
    for (int t = 0; t < call->rows; t++) {
        double loss = row_loss(call->scratch + t * features, call->target_features + t * features,
                               features, call->loss_scale);
        if (call->row_loss) call->row_loss[t] = (real)loss;
        *call->loss += loss;
    }
}

static void backward(const rw_call *call)
{
    int features = (int)call->node->param_rows[0];
    const rw_weight_gradient gradient = {.rows = call->rows,
                                         .x = call->in[0],
                                         .ldx = call->in_ld[0],
                                         .dy = call->scratch,
                                         .lddy = features,
                                         .dx = call->din[0],
                                         .lddx = call->din_ld[0],
                                         .add = call->din_add[0]};
    forward(call);
    rw_weight_product_backward(call, &gradient, call->scratch + predictions(call->node));
    for (int t = 0; t < call->rows; t++)
        for (int f = 0; f < features; f++) call->dparam[1][f] += call->scratch[t * features + f];
}

static void reference(const rw_call *call)
{
    int features = (int)call->node->param_rows[0], width = call->node->in_width[0];
    *call->loss = 0;
    for (int t = 0; t < call->rows; t++) {
        if (isnan(call->target_features[t * features])) continue;
        for (int f = 0; f < features; f++) {
            double error = call->param[1][f] - call->target_features[t * features + f];
            for (int d = 0; d < width; d++)
                error += (double)call->in[0][t * call->in_ld[0] + d] *
                         (double)call->param[0][f * width + d];
            *call->loss += error * error / features;
        }
    }
}

static void step(const rw_call *call)
{
    predict(call, call->scores);
}

static double flops(const rw_node *node, int rows)
{
    return 2.0 * rows * (double)node->param_rows[0] * node->in_width[0];
}

static rw_status sample(rw_graph *graph, rw_value x, rw_value *y)
{
    (void)y;
    return rw_squared_error(graph, x, "head", 3);
}

const rw_op rw_op_squared_error = {
    .name = "squared_error",
    .doc = "output projection and mean squared error in one",
    .is_loss = true,
    .keeps_in = 1,
    .shape = shape,
    .prepare = rw_weight_product_prepare,
    .forward = forward,
    .backward = backward,
    .reference = reference,
    .step = step,
    .flops = flops,
    .bytes = rw_weight_product_bytes,
    .sample = sample,
};

rw_status rw_squared_error(rw_graph *graph, rw_value x, const char *name, int features)
{
    int params[2];
    RW_TRY(rw_graph_weight(graph, name, features, x.width, 1 / sqrt(x.width), &params[0]));
    RW_TRY(rw_graph_vector(graph, name, "bias", features, NULL, 0, &params[1]));
    return rw_graph_apply(graph, &rw_op_squared_error, NULL, 0, &x, 1, params, 2, NULL);
}
