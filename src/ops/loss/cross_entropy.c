/* Cross-entropy fused with the output projection: loss = -log softmax(x W^T)[target].
 *
 * backward computes the loss and its gradient in one go:
 * P = (softmax - onehot) scale,  dx = P W,  dW += P^T x (ops/loss/projected_loss.h). */
#include <math.h>

#include "data/target.h"
#include "kernels/elementary.h"
#include "kernels/gemm.h"
#include "graph/layers.h"
#include "ops/loss/projected_loss.h"
#include "ops/projection/weight_product.h"

enum { ACCUMULATORS = 16 };

static real row_max(const real *x, int n)
{
    real m = x[0];
    for (int i = 1; i < n; i++) m = x[i] > m ? x[i] : m;
    return m;
}

/* x <- exp(x - max); returns the sum, in an order that depends on n alone. */
static real exponentials(real *x, int n, real max)
{
    real partial[ACCUMULATORS] = {0}, sum = 0;
    int i = 0;
    for (; i + ACCUMULATORS <= n; i += ACCUMULATORS)
        for (int j = 0; j < ACCUMULATORS; j++) {
            x[i + j] = rw_exp(x[i + j] - max);
            partial[j] += x[i + j];
        }
    for (; i < n; i++) {
        x[i] = rw_exp(x[i] - max);
        sum += x[i];
    }
    for (int j = 0; j < ACCUMULATORS; j++) sum += partial[j];
    return sum;
}

/* Is the target the first of the largest logits? If all logits are equal (weights that overflowed),
 * only id 0 is best. */
static bool is_best(const real *logits, int vocab, int32_t target)
{
    if (!(logits[target] >= row_max(logits, vocab))) return false;
    for (int i = 0; i < target; i++)
        if (logits[i] == logits[target]) return false;
    return true;
}

static bool cross_entropy_counts(const rw_call *call, int t)
{
    return call->data.targets[t] != RW_IGNORE;
}

static double cross_entropy_row_loss(const rw_call *call, int t, real *logits)
{
    const int vocab = (int)call->node->param_rows[0];
    const int32_t target = call->data.targets[t];
    if (call->loss.correct) *call->loss.correct += is_best(logits, vocab, target);
    real max = row_max(logits, vocab), at_target = logits[target] - max;
    real sum = exponentials(logits, vocab, max);
    real factor = call->loss.scale / sum;
    for (int v = 0; v < vocab; v++) logits[v] *= factor;
    logits[target] -= call->loss.scale;
    return log((double)sum) - (double)at_target;
}

static const rw_projected_loss loss = {.counts = cross_entropy_counts,
                                       .row_loss = cross_entropy_row_loss};

static void cross_entropy_forward(const rw_call *call)
{
    rw_projected_loss_forward(&loss, call);
}

static void cross_entropy_backward(const rw_call *call)
{
    rw_projected_loss_backward(&loss, call);
}

static double naive_logit(const rw_call *call, int t, int v)
{
    double sum = 0;
    for (int d = 0; d < call->node->in_width[0]; d++)
        sum += (double)call->in[0][t * call->in_ld[0] + d] *
               (double)call->param[0][v * call->node->in_width[0] + d];
    return sum;
}

static void cross_entropy_reference(const rw_call *call)
{
    int vocab = (int)call->node->param_rows[0];
    for (int t = 0; t < call->rows; t++) {
        if (call->data.targets[t] == RW_IGNORE) continue;
        double sum = 0;
        for (int v = 0; v < vocab; v++) sum += exp(naive_logit(call, t, v));
        *call->loss.sum += log(sum) - naive_logit(call, t, call->data.targets[t]);
    }
}

/* Logits of one token. */
static void cross_entropy_step(const rw_call *call)
{
    int vocab = (int)call->node->param_rows[0], width = call->node->in_width[0];
    rw_gemm(false, true, 1, vocab, width, 1, call->in[0], call->in_ld[0], call->param[0], width, 0,
            call->loss.scores, vocab);
}

static double cross_entropy_flops(const rw_node *node, int rows)
{
    return 2.0 * rows * (double)node->param_rows[0] * node->in_width[0];
}

static rw_status cross_entropy_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    (void)y;
    return rw_cross_entropy(graph, x, "head", 11, -1);
}

const rw_op rw_op_cross_entropy = {
    .name = "cross_entropy",
    .doc = "output projection, softmax and negative log-likelihood, fused",
    .is_loss = true,
    .promises = {.keeps_in = 1},
    .shape = rw_projected_loss_shape,
    .sizes = rw_projected_loss_sizes,
    .prepare = rw_weight_product_prepare,
    .forward = cross_entropy_forward,
    .backward = cross_entropy_backward,
    .reference = cross_entropy_reference,
    .step = cross_entropy_step,
    .flops = cross_entropy_flops,
    .bytes = rw_weight_product_bytes,
    .sample = cross_entropy_sample,
};

rw_status rw_cross_entropy(rw_graph *graph, rw_value x, const char *name, int vocab, int table)
{
    if (table < 0) RW_TRY(rw_graph_weight(graph, name, vocab, x.width, 1 / sqrt(x.width), &table));
    return rw_graph_apply(graph, &rw_op_cross_entropy, NULL, 0, &x, 1, &table, 1, NULL);
}
