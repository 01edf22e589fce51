/* Causal depthwise convolution over a few tokens, with bias and perhaps SiLU.
 * Its carry is a shift: the state is the last taps-1 rows of the chunk's input,
 * (taps-1, width). */
#include <math.h>
#include <string.h>

#include "kernels/depthwise.h"
#include "graph/layers.h"

extern const rw_op rw_op_short_conv;

typedef struct {
    int taps;
    bool silu;
} attributes;

static rw_status short_conv_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    int width = node->in_width[0];
    if (attr->taps < 2)
        return rw_fail(RW_USAGE, "a short convolution needs at least 2 taps, not %d", attr->taps);
    if (node->params != 2 || node->param_rows[0] != width || node->param_cols[0] != attr->taps)
        return rw_fail(RW_USAGE,
                       "a short convolution of %d taps over width %d needs a weight "
                       "(%d, %d) and a bias",
                       attr->taps, width, width, attr->taps);
    *out_width = width;
    return RW_OK;
}

static rw_status short_conv_sizes(rw_node *node)
{
    const attributes *attr = node->attributes;
    const int width = node->in_width[0];
    /* The next chunk needs taps-1 rows, all from this chunk. */
    if (node->setting.chunk < attr->taps - 1)
        return rw_fail(RW_USAGE,
                       "a short convolution of %d taps reaches back over more than one chunk of %d "
                       "tokens; set model.chunk to at least %d or use fewer taps",
                       attr->taps, node->setting.chunk, attr->taps - 1);
    node->size.cheap = !attr->silu;
    node->size.state = (size_t)(attr->taps - 1) * (size_t)width;
    node->size.scratch = rw_depthwise_scratch_reals(attr->taps);
    return RW_OK;
}

static rw_depthwise convolution(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    return (rw_depthwise){
        .rows = call->rows,
        .channels = call->node->in_width[0],
        .taps = attr->taps,
        .silu = attr->silu,
        .weight = call->param[0],
        .bias = call->param[1],
        .before = call->carry.state_in,
        .x = call->in[0],
        .ldx = call->in_ld[0],
    };
}

static void short_conv_forward(const rw_call *call)
{
    rw_depthwise conv = convolution(call);
    rw_depthwise_forward(&conv, call->out, call->out_ld, call->scratch);
}

static void short_conv_backward(const rw_call *call)
{
    rw_depthwise conv = convolution(call);
    rw_depthwise_grad grad = {.x = call->back.din[0],
                              .ldx = call->back.din_ld[0],
                              .add = call->back.din_add[0],
                              .weight = call->back.dparam[0],
                              .bias = call->back.dparam[1]};
    rw_depthwise_backward(&conv, call->back.dout, call->back.dout_ld, call->carry.dstate_out, &grad,
                          call->scratch);
}

static void short_conv_adjoint(const rw_call *call)
{
    rw_depthwise conv = convolution(call);
    rw_depthwise_grad grad = {.before = call->carry.dstate_in};
    /* Only the first taps-1 outputs see rows before the chunk. */
    if (conv.rows > conv.taps - 1) conv.rows = conv.taps - 1;
    rw_depthwise_backward(&conv, call->back.dout, call->back.dout_ld, NULL, &grad, call->scratch);
}

static void short_conv_summary(const rw_call *call)
{
    rw_depthwise conv = convolution(call);
    rw_depthwise_tail(&conv, call->carry.state);
}

static void short_conv_step(const rw_call *call)
{
    rw_depthwise conv = convolution(call);
    size_t width = (size_t)conv.channels, kept = (size_t)(conv.taps - 2) * width;
    conv.rows = 1;
    conv.before = call->carry.state;
    rw_depthwise_forward(&conv, call->out, call->out_ld, call->scratch);
    memmove(call->carry.state, call->carry.state + width, sizeof(real) * kept);
    memcpy(call->carry.state + kept, call->in[0], sizeof(real) * width);
}

static void short_conv_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    for (int t = 0; t < call->rows; t++)
        for (int c = 0; c < call->node->in_width[0]; c++) {
            double sum = call->param[1][c];
            for (int back = 0; back < attr->taps && back <= t; back++)
                sum += (double)call->param[0][(size_t)(c + 1) * attr->taps - 1 - back] *
                       call->in[0][(size_t)(t - back) * call->in_ld[0] + c];
            if (attr->silu) sum /= 1 + exp(-sum);
            call->out[(size_t)t * call->out_ld + c] = (real)sum;
        }
}

static double short_conv_flops(const rw_node *node, int rows)
{
    const attributes *attr = node->attributes;
    return (double)rows * node->in_width[0] * (2 * attr->taps + (attr->silu ? 4 : 0));
}

rw_status rw_short_conv(rw_graph *graph, rw_value x, const char *name, int taps, bool silu,
                        rw_value *y)
{
    int params[2];
    attributes attr = {.taps = taps, .silu = silu};
    RW_TRY(rw_graph_weight(graph, name, x.width, taps, RW_GAIN_UNIFORM / sqrt(taps), &params[0]));
    RW_TRY(rw_graph_vector(graph, name, "bias", x.width, NULL, 0, &params[1]));
    return rw_graph_apply(graph, &rw_op_short_conv, &attr, sizeof attr, &x, 1, params, 2, y);
}

static rw_status short_conv_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_short_conv(graph, x, "conv", 4, true, y);
}

const rw_op rw_op_short_conv = {
    .name = "short_conv",
    .doc = "causal depthwise convolution over a few tokens, with bias and SiLU",
    .source = "Fu et al. 2023, Hungry Hungry Hippos, section 3 (shift); Gu and Dao 2023, Mamba, "
              "section 3.4",
    .promises = {.keeps_in = 1, .in_place = 1},
    .shape = short_conv_shape,
    .sizes = short_conv_sizes,
    .forward = short_conv_forward,
    .backward = short_conv_backward,
    .reference = short_conv_reference,
    .step = short_conv_step,
    .shift = &(const rw_shift_carry){.summary = short_conv_summary, .adjoint = short_conv_adjoint},
    .flops = short_conv_flops,
    .sample = short_conv_sample,
};
