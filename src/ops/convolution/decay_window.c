/* The filter of a long convolution: what a network made of each lag, times a
 * window that decays with the lag, at a rate of its own in each column:
 *
 *   y_t = h_t (exp(-alpha_d t / length) + shift) + bias_d [t = 0]
 *
 * alpha is spread geometrically from slow to fast, so that columns remember over
 * lengths of all scales in between. A bias at lag 0 is the skip of the
 * convolution, bias_d u_t. */
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_decay_window;

typedef struct {
    double length, slow, fast, shift;
} attributes;

static rw_status decay_window_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    const int width = node->in_width[0];
    if (attr->length < 1 || attr->slow <= 0 || attr->fast < attr->slow)
        return rw_fail(RW_USAGE,
                       "a window of %g lags that decays at rates from %g to %g: the length must be "
                       "at least 1, and the rates positive, the slow one first",
                       attr->length, attr->slow, attr->fast);
    if (node->params != 1 || node->param_cols[0] != width)
        return rw_fail(RW_USAGE, "a window over %d columns needs as many biases", width);
    *out_width = width;
    return RW_OK;
}

static rw_status decay_window_sizes(rw_node *node)
{
    node->size.derived = (size_t)node->out_width; /* log of the decay per token */
    return RW_OK;
}

static double rate(const attributes *attr, int width, int d)
{
    const double place = width > 1 ? (double)d / (width - 1) : 0;
    return -attr->slow * pow(attr->fast / attr->slow, place) / attr->length;
}

static void decay_window_prepare(const rw_node *node, const real *const *param, real *derived,
                                 int begin, int end, real *scratch)
{
    (void)param, (void)begin, (void)end, (void)scratch; /* one slice */
    for (int d = 0; d < node->out_width; d++)
        derived[d] = (real)rate(node->attributes, node->out_width, d);
}

static void window_row(int n, real t, real shift, const real *restrict rates,
                       const real *restrict h, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = h[i] * (rw_exp(t * rates[i]) + shift);
}

static void decay_window_forward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        real *y = rw_row_out(call->out, call->out_ld, t);
        window_row(n, (real)(call->at.position + t), (real)attr->shift, call->derived,
                   rw_row(call->in[0], call->in_ld[0], t), y);
        for (int i = 0; call->at.position + t == 0 && i < n; i++) y[i] += call->param[0][i];
    }
}

static void gradient_row(int n, real t, real shift, const real *restrict rates,
                         const real *restrict dy, bool add, real *restrict dh)
{
    for (int i = 0; i < n; i++) dh[i] = rw_put(add, dh[i], dy[i] * (rw_exp(t * rates[i]) + shift));
}

static void decay_window_backward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->out_width;
    for (int t = 0; t < call->rows; t++) {
        const real *dy = rw_row(call->back.dout, call->back.dout_ld, t);
        if (call->back.din[0])
            gradient_row(n, (real)(call->at.position + t), (real)attr->shift, call->derived, dy,
                         call->back.din_add[0],
                         rw_row_out(call->back.din[0], call->back.din_ld[0], t));
        for (int i = 0; call->at.position + t == 0 && i < n; i++) call->back.dparam[0][i] += dy[i];
    }
}

static void decay_window_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int n = call->node->out_width;
    for (long t = 0; t < call->rows; t++)
        for (int d = 0; d < n; d++) {
            const double window = exp((double)t * rate(attr, n, d)) + attr->shift;
            const double bias = t == 0 ? (double)call->param[0][d] : 0;
            call->out[t * call->out_ld + d] =
                (real)((double)call->in[0][t * call->in_ld[0] + d] * window + bias);
        }
}

static double decay_window_flops(const rw_node *node, int rows)
{
    return (RW_EXP_FLOPS + 3.0) * rows * node->out_width;
}

/* In a convolution: see positions.c. */
static rw_status decay_window_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_linear_options linear = {.name = "filter", .width = x.width, .gain = 0.3};
    const rw_decay_window_options window = {"window", 20, 0.5, 8, 0.1};
    rw_value features, h, filter;
    RW_TRY(rw_positions(graph, 20, 3, &features));
    RW_TRY(rw_linear(graph, features, &linear, &h));
    RW_TRY(rw_decay_window(graph, h, &window, &filter));
    return rw_long_convolution(graph, x, filter, RW_CONVOLVE_AUTO, y);
}

const rw_op rw_op_decay_window = {
    .name = "decay_window",
    .doc = "a filter: rows times a window that decays with the lag, with a bias at lag 0",
    .source = "Poli et al. 2023, Hyena Hierarchy, section 3.3, equation 7",
    .promises = {.rowwise = true},
    .shape = decay_window_shape,
    .sizes = decay_window_sizes,
    .prepare = decay_window_prepare,
    .forward = decay_window_forward,
    .backward = decay_window_backward,
    .reference = decay_window_reference,
    .flops = decay_window_flops,
    .sample = decay_window_sample,
};

rw_status rw_decay_window(rw_graph *graph, rw_value h, const rw_decay_window_options *options,
                          rw_value *y)
{
    const attributes attr = {(double)options->length, options->slow, options->fast, options->shift};
    int bias;
    RW_TRY(rw_graph_vector(graph, options->name, "bias", h.width, rw_init_normal, 1, &bias));
    return rw_graph_apply(graph, &rw_op_decay_window, &attr, sizeof attr, &h, 1, &bias, 1, y);
}
