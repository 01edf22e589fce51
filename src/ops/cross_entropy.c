/* Cross-entropy fused with the output projection: loss = -log softmax(x W^T)[target].
 *
 * Logits exist for a few rows at a time only (ROW_FLOATS), never for a whole
 * chunk of a large vocabulary. backward computes the loss and its gradient in
 * one go:  P = (softmax - onehot) scale,  dx = P W,  dW += P^T x. */
#include <math.h>

#include "tensor/target.h"
#include "kernels/elementary.h"
#include "kernels/gemm.h"
#include "ops/layers.h"
#include "ops/weight_product.h"

enum { ROW_FLOATS = 65536, ACCUMULATORS = 16 };

static int block_rows(int vocab)
{
    int rows = ROW_FLOATS / vocab;
    return rows < 8 ? 8 : rows > 512 ? 512 : rows;
}

/* Scratch: logits of a block of rows, then the room of their products. */
static size_t logits_reals(int vocab)
{
    return (size_t)block_rows(vocab) * (size_t)vocab;
}

static rw_status shape(rw_node *node)
{
    int vocab = (int)node->param_rows[0];
    if (node->param_cols[0] != node->in_width[0])
        return rw_fail(RW_USAGE, "the output projection takes width %ld, its input has %d",
                       node->param_cols[0], node->in_width[0]);
    rw_weight_product_shape(node);
    node->scratch = logits_reals(vocab) + rw_weight_product_room(node, block_rows(vocab));
    return RW_OK;
}

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

/* The loss of a row of logits; leaves its gradient in place of the logits. */
static double row_loss(real *logits, int vocab, int32_t target, real scale)
{
    if (target == RW_IGNORE) {
        for (int v = 0; v < vocab; v++) logits[v] = 0;
        return 0;
    }
    real max = row_max(logits, vocab), at_target = logits[target] - max;
    real sum = exponentials(logits, vocab, max);
    real factor = scale / sum;
    for (int v = 0; v < vocab; v++) logits[v] *= factor;
    logits[target] -= scale;
    return log((double)sum) - (double)at_target;
}

/* Is the target the first of the largest logits? Of logits that are all equal, as a model whose
 * weights overflowed gives them, not every one is the best. */
static bool is_best(const real *logits, int vocab, int32_t target)
{
    if (target == RW_IGNORE || !(logits[target] >= row_max(logits, vocab))) return false;
    for (int i = 0; i < target; i++)
        if (logits[i] == logits[target]) return false;
    return true;
}

/* Logits of rows [first, first + rows), then loss and gradient in their place. */
static double block_loss(const rw_call *call, int first, int rows)
{
    int vocab = (int)call->node->param_rows[0];
    const real *x = call->in[0] + (size_t)first * (size_t)call->in_ld[0];
    rw_weight_product(call, rows, x, call->in_ld[0], false, call->scratch, vocab,
                      call->scratch + logits_reals(vocab));
    double sum = 0;
    for (int t = 0; t < rows; t++) {
        real *logits = call->scratch + (size_t)t * (size_t)vocab;
        if (call->correct) *call->correct += is_best(logits, vocab, call->targets[first + t]);
        double loss = row_loss(logits, vocab, call->targets[first + t], call->loss_scale);
        if (call->row_loss) call->row_loss[first + t] = (real)loss;
        sum += loss;
    }
    return sum;
}

static void forward(const rw_call *call)
{
    int step = block_rows((int)call->node->param_rows[0]);
    *call->loss = 0;
    if (call->correct) *call->correct = 0;
    for (int t = 0; t < call->rows; t += step)
        *call->loss += block_loss(call, t, call->rows - t < step ? call->rows - t : step);
}

static void backward(const rw_call *call)
{
    int vocab = (int)call->node->param_rows[0];
    int step = block_rows(vocab);
    *call->loss = 0;
    for (int t = 0; t < call->rows; t += step) {
        int rows = call->rows - t < step ? call->rows - t : step;
        *call->loss += block_loss(call, t, rows);
        const rw_weight_gradient gradient = {
            .rows = rows,
            .x = call->in[0] + (size_t)t * (size_t)call->in_ld[0],
            .ldx = call->in_ld[0],
            .dy = call->scratch,
            .lddy = vocab,
            .dx = call->din[0] + (size_t)t * (size_t)call->din_ld[0],
            .lddx = call->din_ld[0],
            .add = call->din_add[0],
        };
        rw_weight_product_backward(call, &gradient, call->scratch + logits_reals(vocab));
    }
}

static double naive_logit(const rw_call *call, int t, int v)
{
    double sum = 0;
    for (int d = 0; d < call->node->in_width[0]; d++)
        sum += (double)call->in[0][t * call->in_ld[0] + d] *
               (double)call->param[0][v * call->node->in_width[0] + d];
    return sum;
}

static void reference(const rw_call *call)
{
    int vocab = (int)call->node->param_rows[0];
    *call->loss = 0;
    for (int t = 0; t < call->rows; t++) {
        if (call->targets[t] == RW_IGNORE) continue;
        double sum = 0;
        for (int v = 0; v < vocab; v++) sum += exp(naive_logit(call, t, v));
        *call->loss += log(sum) - naive_logit(call, t, call->targets[t]);
    }
}

/* Logits of one token. */
static void step(const rw_call *call)
{
    int vocab = (int)call->node->param_rows[0], width = call->node->in_width[0];
    rw_gemm(false, true, 1, vocab, width, 1, call->in[0], call->in_ld[0], call->param[0], width, 0,
            call->scores, vocab);
}

static double flops(const rw_node *node, int rows)
{
    return 2.0 * rows * (double)node->param_rows[0] * node->in_width[0];
}

static rw_status sample(rw_graph *graph, rw_value x, rw_value *y)
{
    (void)y;
    return rw_cross_entropy(graph, x, "head", 11, -1);
}

const rw_op rw_op_cross_entropy = {
    .name = "cross_entropy",
    .doc = "output projection, softmax and negative log-likelihood in one",
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

rw_status rw_cross_entropy(rw_graph *graph, rw_value x, const char *name, int vocab, int table)
{
    if (table < 0) RW_TRY(rw_graph_weight(graph, name, vocab, x.width, 1 / sqrt(x.width), &table));
    return rw_graph_apply(graph, &rw_op_cross_entropy, NULL, 0, &x, 1, &table, 1, NULL);
}
