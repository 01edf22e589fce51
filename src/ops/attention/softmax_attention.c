/* Causal softmax attention with heads of keys that several heads of queries may share:
 *
 *   y_t = sum_s p_ts v_s,   p_ts = softmax over s of q_t.k_s / sqrt d
 *
 * over the keys s <= t of t's document, the last `window` of them if there is a window.
 * By blocks (kernels/attention_block.h), whose sums have the same bits on any layout
 * (ops/attention/attention_pass.h, docs/decisions/0015-attention.md). */
#include <math.h>
#include <string.h>

#include "kernels/attention_block.h"
#include "kernels/elementary.h"
#include "kernels/row_sum.h"
#include "ops/attention/attention_route.h"

extern const rw_op rw_op_softmax_attention;

/* Tokens in the cache of step. */
static long cache_rows(const rw_node *node)
{
    const rw_attention_options *options = node->attributes;
    bool short_window = options->window > 0 && options->window < node->setting.horizon;
    return short_window ? options->window : node->setting.horizon;
}

static rw_status softmax_attention_shape(const rw_node *node, int *out_width)
{
    const rw_attention_options *options = node->attributes;
    const int q = node->in_width[ATTENTION_Q], k = node->in_width[ATTENTION_K];
    const int heads = options->heads, kv = options->kv_heads;
    if (node->ins != ATTENTION_INS || heads < 1 || kv < 1 || heads % kv != 0 || q % heads != 0 ||
        k != q / heads * kv || node->in_width[ATTENTION_V] != k)
        return rw_fail(RW_USAGE,
                       "softmax_attention: %d heads of queries in %d columns and %d of keys in %d; "
                       "the second number of heads must divide the first, and all heads be as wide",
                       heads, q, kv, k);
    *out_width = q;
    return RW_OK;
}

static rw_status softmax_attention_sizes(rw_node *node)
{
    const rw_attention_options *options = node->attributes;
    const size_t k = (size_t)node->in_width[ATTENTION_K];
    node->size.saved = (size_t)options->heads;
    node->size.state = 2 * k * (size_t)cache_rows(node); /* (cache rows, k | v) */
    node->size.scratch = (size_t)cache_rows(node);
    return RW_OK;
}

/* Without a window: as many past rows as the step has rows (Dai et al. 2019, Transformer-XL,
 * section 3.2). */
static long softmax_attention_past_rows(const rw_node *node, long length)
{
    const rw_attention_options *options = node->attributes;
    return options->window ? options->window - 1 : length;
}

static size_t softmax_attention_workspace(const rw_node *node, const rw_span *span)
{
    rw_attention_plan plan;
    rw_attention_plan_fill(node, span, NULL, &plan);
    return plan.reals;
}

static void begin(const rw_global *g, rw_attention_plan *plan)
{
    rw_attention_plan_fill(g->node, &g->span, g->workspace, plan);
    plan->mask.starts = g->starts;
    rw_attention_mask_fill(&plan->mask, g->span.sequences, plan->first);
}

/* ---- All rows here ---------------------------------------------------------------- */

static void use_inputs(const rw_attention_plan *plan, const rw_global *g, rw_attention_work *work)
{
    const int columns = plan->group * plan->width;
    work->q = rw_attention_in_place(plan, g->in[ATTENTION_Q], g->in_ld[ATTENTION_Q], columns);
    work->k = rw_attention_in_place(plan, g->in[ATTENTION_K], g->in_ld[ATTENTION_K], plan->width);
    work->v = rw_attention_in_place(plan, g->in[ATTENTION_V], g->in_ld[ATTENTION_V], plan->width);
}

static void alone_forward(const rw_attention_plan *plan, const rw_global *g)
{
    const int columns = plan->group * plan->width, heads = (int)g->node->size.saved;
    rw_attention_work work = plan->work;
    use_inputs(plan, g, &work);
    rw_attention_forward(&work, rw_attention_to_place(plan, g->out, g->out_ld, columns, false),
                         rw_attention_to_place(plan, g->saved, heads, plan->group, false));
}

static rw_attention_target to_gradient(const rw_attention_plan *plan, const rw_global *g, int input,
                                       int width)
{
    return rw_attention_to_place(plan, g->din[input], g->din_ld[input], width, g->din_add[input]);
}

static void alone_backward(const rw_attention_plan *plan, const rw_global *g)
{
    const int columns = plan->group * plan->width, heads = (int)g->node->size.saved;
    rw_attention_work work = plan->work;
    use_inputs(plan, g, &work);
    work.dout = rw_attention_in_place(plan, g->dout, g->dout_ld, columns);
    work.logs = rw_attention_in_place(plan, g->saved, heads, plan->group);
    work.dots = rw_attention_in_place(plan, plan->dots, heads, plan->group);
    rw_attention_backward(&work, to_gradient(plan, g, ATTENTION_Q, columns),
                          to_gradient(plan, g, ATTENTION_K, plan->width),
                          to_gradient(plan, g, ATTENTION_V, plan->width));
}

/* ---- All rows of a rank ----------------------------------------------------------- */

static void softmax_attention_forward(const rw_global *g)
{
    rw_attention_plan plan;
    begin(g, &plan);
    if (plan.route == RW_ATTENTION_ALONE)
        alone_forward(&plan, g);
    else if (plan.route == RW_ATTENTION_HEADS)
        rw_attention_heads_forward(&plan, g);
    else
        rw_attention_ring_forward(&plan, g);
}

/* D of each row and head, on the rank of the row, before any exchange. */
static void set_dots(const rw_attention_plan *plan, const rw_global *g)
{
    const long rows = rw_span_count(&g->span), heads = (long)g->node->size.saved;
#pragma omp parallel for collapse(2) schedule(static) num_threads(g->span.layout->threads)
    for (long s = 0; s < g->span.sequences; s++)
        for (long r = 0; r < rows; r++) {
            const size_t row = (size_t)(s * g->span.stride + r);
            const real *out = g->out + row * (size_t)g->out_ld;
            const real *dout = g->dout + row * (size_t)g->dout_ld;
            for (long h = 0; h < heads; h++)
                plan->dots[row * (size_t)heads + (size_t)h] =
                    rw_attention_dot(plan->width, out + h * plan->width, dout + h * plan->width);
        }
}

static void softmax_attention_backward(const rw_global *g)
{
    rw_attention_plan plan;
    begin(g, &plan);
    set_dots(&plan, g);
    if (plan.route == RW_ATTENTION_ALONE)
        alone_backward(&plan, g);
    else if (plan.route == RW_ATTENTION_HEADS)
        rw_attention_heads_backward(&plan, g);
    else
        rw_attention_ring_backward(&plan, g);
}

/* ---- One token -------------------------------------------------------------------- */

/* A head of queries over `count` cached rows; weight (count). */
static void step_head(const rw_node *node, const real *q, const real *cache, long count, int d,
                      real *weight, real *out)
{
    const size_t ld = 2 * (size_t)node->in_width[ATTENTION_K];
    const real scale = (real)(1 / sqrt(d)), *values = cache + node->in_width[ATTENTION_K];
    real most = -INFINITY;
    for (long s = 0; s < count; s++) {
        weight[s] = scale * rw_row_dot(d, q, cache + (size_t)s * ld);
        most = weight[s] > most ? weight[s] : most;
    }
    for (long s = 0; s < count; s++) weight[s] = rw_exp(weight[s] - most);
    const real inverse = 1 / rw_row_sum((int)count, weight);
    memset(out, 0, (size_t)d * sizeof(real));
    for (long s = 0; s < count; s++)
        for (int i = 0; i < d; i++)
            out[i] += weight[s] * inverse * values[(size_t)s * ld + (size_t)i];
}

/* The cache is a ring of rows; a softmax does not mind their order. */
static void softmax_attention_step(const rw_call *call)
{
    const rw_node *node = call->node;
    const rw_attention_options *options = node->attributes;
    const int k = node->in_width[ATTENTION_K], d = k / options->kv_heads;
    const int group = options->heads / options->kv_heads;
    const long rows = cache_rows(node);
    real *row = call->carry.state + 2 * (size_t)k * (size_t)(call->at.position % rows);
    memcpy(row, call->in[ATTENTION_K], (size_t)k * sizeof(real));
    memcpy(row + k, call->in[ATTENTION_V], (size_t)k * sizeof(real));
    const long count = call->at.position + 1 < rows ? call->at.position + 1 : rows;
    for (int h = 0; h < options->heads; h++)
        step_head(node, call->in[ATTENTION_Q] + h * d, call->carry.state + h / group * d, count, d,
                  call->scratch, call->out + h * d);
}

/* ---- The definition --------------------------------------------------------------- */

static double score(const rw_call *call, int d, long t, int head, long s, int kv_head)
{
    const real *q = call->in[ATTENTION_Q] + t * call->in_ld[ATTENTION_Q] + head * d;
    const real *k = call->in[ATTENTION_K] + s * call->in_ld[ATTENTION_K] + kv_head * d;
    double sum = 0;
    for (int i = 0; i < d; i++) sum += (double)q[i] * (double)k[i];
    return sum / sqrt(d);
}

static void reference_row(const rw_call *call, long t, int head)
{
    const rw_attention_options *options = call->node->attributes;
    const int d = call->node->in_width[ATTENTION_Q] / options->heads;
    const int kv_head = head / (options->heads / options->kv_heads);
    const long first = options->window && t >= options->window ? t - options->window + 1 : 0;
    double most = -INFINITY, total = 0, sum[d];
    memset(sum, 0, sizeof sum);
    for (long s = first; s <= t; s++) most = fmax(most, score(call, d, t, head, s, kv_head));
    for (long s = first; s <= t; s++) {
        const real *v = call->in[ATTENTION_V] + s * call->in_ld[ATTENTION_V] + kv_head * d;
        const double weight = exp(score(call, d, t, head, s, kv_head) - most);
        total += weight;
        for (int i = 0; i < d; i++) sum[i] += weight * (double)v[i];
    }
    for (int i = 0; i < d; i++) call->out[t * call->out_ld + head * d + i] = (real)(sum[i] / total);
}

static void softmax_attention_reference(const rw_call *call)
{
    const rw_attention_options *options = call->node->attributes;
    for (int t = 0; t < call->rows; t++)
        for (int h = 0; h < options->heads; h++) reference_row(call, t, h);
}

/* Two products with each key that a row sees, over a whole sequence. */
static double softmax_attention_flops(const rw_node *node, int rows)
{
    const rw_attention_options *options = node->attributes;
    const double window = options->window > 0 && options->window < rows ? options->window : rows;
    const double pairs = window * (window + 1) / 2 + (rows - window) * window;
    return pairs * (4.0 * node->in_width[ATTENTION_Q] + 4.0 * options->heads);
}

/* Two heads of queries share a head of keys; the window is shorter than most sequences. */
static rw_status softmax_attention_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_attention_options options = {.heads = 2, .kv_heads = 1, .window = 11};
    const int half = x.width / 2, quarter = x.width / 4;
    return rw_softmax_attention(graph, rw_columns(x, 0, half), rw_columns(x, half, quarter),
                                rw_columns(x, half + quarter, quarter), &options, y);
}

const rw_op rw_op_softmax_attention = {
    .name = "softmax_attention",
    .doc = "causal softmax attention, grouped heads, optional window",
    .source = "Vaswani et al. 2017, Attention is all you need, equation 1; Dao 2023, "
              "FlashAttention-2; Ainslie et al. 2023, GQA",
    .promises = {.keeps_in = 1u << ATTENTION_Q | 1u << ATTENTION_K | 1u << ATTENTION_V,
                 .keeps_out = true},
    .shape = softmax_attention_shape,
    .sizes = softmax_attention_sizes,
    .reference = softmax_attention_reference,
    .step = softmax_attention_step,
    .global = &(const rw_global_carry){.past_rows = softmax_attention_past_rows,
                                       .workspace = softmax_attention_workspace,
                                       .forward = softmax_attention_forward,
                                       .backward = softmax_attention_backward},
    .flops = softmax_attention_flops,
    .sample = softmax_attention_sample,
};

rw_status rw_softmax_attention(rw_graph *graph, rw_value q, rw_value k, rw_value v,
                               const rw_attention_options *options, rw_value *y)
{
    const rw_value in[ATTENTION_INS] = {q, k, v};
    return rw_graph_apply(graph, &rw_op_softmax_attention, options, sizeof *options, in,
                          ATTENTION_INS, NULL, 0, y);
}
