/* Convolution with a filter as long as the sequence, whose rows are lags:
 *
 *   y_t = sum_{j<=t} h_j u_{t-j}   per channel, within a document
 *   du_s = sum_{t>=s} h_{t-s} dy_t,   dh_j = sum over documents, t>=j of dy_t u_{t-j}
 *
 * By fast transform (kernels/long_fft.h), O(log L) a token; exchanges between ranks: long_paths.h.
 * A step keeps all of u and h. With data.carry, u continues from the window before, as far as the
 * filter has lags: one window. */
#include <string.h>

#include "graph/layers.h"
#include "data/documents.h"
#include "ops/convolution/long_paths.h"

extern const rw_op rw_op_long_convolution;

typedef struct {
    rw_convolve_exchange exchange;
} attributes;

static rw_status long_convolution_shape(const rw_node *node, int *out_width)
{
    const int width = node->in_width[RW_LONG_INPUT];
    if (node->ins != RW_LONG_INPUTS || node->in_width[RW_LONG_FILTER] != width)
        return rw_fail(RW_USAGE,
                       "a long convolution over %d columns needs a filter of as many, not %d",
                       width, node->in_width[RW_LONG_FILTER]);
    *out_width = width;
    return RW_OK;
}

static rw_status long_convolution_sizes(rw_node *node)
{
    node->size.state = 2 * (size_t)node->setting.horizon * (size_t)node->out_width;
    return RW_OK;
}

static rw_status long_convolution_fits(const rw_node *node, const rw_span *span)
{
    const attributes *attr = node->attributes;
    if (attr->exchange != RW_CONVOLVE_FFT || span->layout->sp == 1 || rw_long_transform_fits(span))
        return RW_OK;
    if (span->before > 0)
        return rw_fail(RW_USAGE, "exchange: fft shares transforms of one window; with data.carry "
                                 "set exchange: auto in the block");
    return rw_fail(RW_USAGE,
                   "exchange: fft shares the transforms of %ld tokens, in chunks of %d, among %d "
                   "ranks; it needs 2, 4, 8 or 16 ranks and a power of two of at least 64 tokens "
                   "that they divide in whole chunks: set exchange: auto in the block, or change "
                   "data.length or parallel.sp",
                   span->length, span->chunk, span->layout->sp);
}

/* Do the ranks share transforms? With more ranks than slabs, some would have none. */
static bool may_share(const rw_node *node, const rw_span *span)
{
    const attributes *attr = node->attributes;
    const int slabs = node->out_width / rw_long_slab_width(node->out_width);
    if (span->layout->sp == 1 || attr->exchange == RW_CONVOLVE_CHANNELS) return false;
    return attr->exchange == RW_CONVOLVE_FFT ||
           (slabs < span->layout->sp && rw_long_transform_fits(span));
}

/* Tokens of the window before, as far back as the filter has lags. */
static long long_convolution_past_rows(const rw_node *node, long length)
{
    (void)node;
    return length;
}

static size_t long_convolution_workspace(const rw_node *node, const rw_span *span)
{
    const size_t channels = rw_long_channels_workspace(node, span);
    const size_t shared = may_share(node, span) ? rw_long_transform_workspace(node, span) : 0;
    return channels > shared ? channels : shared;
}

/* Does a document begin after the first row of a sequence? */
static bool is_cut(const rw_global *call)
{
    const long length = call->span.length;
    for (long b = 0; call->starts && b < call->span.sequences; b++)
        if (rw_document_end(call->starts + b * length, 0, length) < length) return true;
    return false;
}

static void long_convolution_forward(const rw_global *call)
{
    if (may_share(call->node, &call->span) && !is_cut(call))
        rw_long_transform_forward(call);
    else
        rw_long_channels_forward(call);
}

static void long_convolution_backward(const rw_global *call)
{
    if (may_share(call->node, &call->span) && !is_cut(call))
        rw_long_transform_backward(call);
    else
        rw_long_channels_backward(call);
}

/* state: u and h of all tokens so far, (horizon, width) each. */
static void long_convolution_step(const rw_call *call)
{
    const size_t width = (size_t)call->node->out_width;
    const long t = call->at.position;
    real *u = call->carry.state, *h = u + (size_t)call->node->setting.horizon * width,
         *y = call->out;
    memcpy(u + (size_t)t * width, call->in[RW_LONG_INPUT], width * sizeof(real));
    memcpy(h + (size_t)t * width, call->in[RW_LONG_FILTER], width * sizeof(real));
    memset(y, 0, width * sizeof(real));
    for (long j = 0; j <= t; j++) {
        const real *past = u + (size_t)(t - j) * width, *lag = h + (size_t)j * width;
        for (size_t d = 0; d < width; d++) y[d] += lag[d] * past[d];
    }
}

static void long_convolution_reference(const rw_call *call)
{
    const real *u = call->in[RW_LONG_INPUT], *h = call->in[RW_LONG_FILTER];
    const int ldu = call->in_ld[RW_LONG_INPUT], ldh = call->in_ld[RW_LONG_FILTER];
    for (long t = 0; t < call->rows; t++)
        for (int d = 0; d < call->node->out_width; d++) {
            double sum = 0;
            for (long j = 0; j <= t; j++)
                sum += (double)h[j * ldh + d] * (double)u[(t - j) * ldu + d];
            call->out[t * call->out_ld + d] = (real)sum;
        }
}

/* Three transforms of n complex points, 5 n log2 n each by convention. The length
 * is not known here: 2^16 tokens. */
static double long_convolution_flops(const rw_node *node, int rows)
{
    return 3.0 * 5 * 16 * rows * node->out_width;
}

/* The filter depends on the lag alone: a row of the filter serves all documents. */
static rw_status long_convolution_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_linear_options linear = {.name = "filter", .width = x.width, .gain = 0.3};
    rw_value features, h;
    RW_TRY(rw_positions(graph, 15, 2, &features));
    RW_TRY(rw_linear(graph, features, &linear, &h));
    return rw_long_convolution(graph, x, h, RW_CONVOLVE_CHANNELS, y);
}

const rw_op rw_op_long_convolution = {
    .name = "long_convolution",
    .doc = "causal convolution with a filter as long as the sequence, by fast transform",
    .source = "Poli et al. 2023, Hyena Hierarchy, section 3; Romero et al. 2022, CKConv, section 3",
    .promises = {.keeps_in = 1u << RW_LONG_INPUT | 1u << RW_LONG_FILTER,
                 .in_place = 1u << RW_LONG_INPUT | 1u << RW_LONG_FILTER},
    .spreads_rounding = true,
    .shape = long_convolution_shape,
    .sizes = long_convolution_sizes,
    .global = &(const rw_global_carry){.past_rows = long_convolution_past_rows,
                                       .fits = long_convolution_fits,
                                       .workspace = long_convolution_workspace,
                                       .forward = long_convolution_forward,
                                       .backward = long_convolution_backward},
    .reference = long_convolution_reference,
    .step = long_convolution_step,
    .flops = long_convolution_flops,
    .sample = long_convolution_sample,
};

rw_status rw_long_convolution(rw_graph *graph, rw_value u, rw_value h,
                              rw_convolve_exchange exchange, rw_value *y)
{
    const attributes attr = {exchange};
    const rw_value in[] = {[RW_LONG_INPUT] = u, [RW_LONG_FILTER] = h};
    return rw_graph_apply(graph, &rw_op_long_convolution, &attr, sizeof attr, in, RW_LONG_INPUTS,
                          NULL, 0, y);
}
