#include "mixers/state_space.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/convolution.h"
#include "kernels/lanes.h"

/* derived:  plan of the FFT | kernel (T, D) | its spectrum
 *           | coefficients (column, ...) | powers (level, column, ...) */
typedef struct {
    const rw_state_space *options;
    const rw_recurrence *family;
    int chunk, width, columns;
    size_t coefficient, power;                     /* reals of one column */
    size_t kernel, spectrum, coefficients, powers; /* offsets; the plan is at 0 */
    size_t total;
} layout;

/* Reals, rounded up so that the next array is aligned like the whole. */
static size_t padded(size_t reals)
{
    const size_t unit = 64 / sizeof(real);
    return (reals + unit - 1) / unit * unit;
}

/* Tokens of two neighbouring columns are packed at once. Rows lie a power of two of bytes apart, so
 * only few sets of a cache hold them: a cache line would be evicted before its second half is read.
 */
#define PAIR 2

static layout layout_of(const rw_node *node)
{
    layout at = {
        .options = node->attributes, .chunk = node->setting.chunk, .width = node->in_width[0]};
    at.family = at.options->recurrence;
    at.columns = (at.width + RW_LANES - 1) / RW_LANES;
    at.coefficient = at.family->coefficient_reals(at.options->state);
    at.power = at.family->power_reals(at.options->state);
    at.kernel = padded(rw_conv_plan_reals(at.chunk));
    at.spectrum = at.kernel + padded((size_t)at.chunk * (size_t)at.width);
    at.coefficients = at.spectrum + padded(rw_conv_spectrum_reals(at.chunk, at.width));
    at.powers = at.coefficients + padded((size_t)at.columns * at.coefficient);
    at.total = at.powers + (size_t)node->setting.levels * (size_t)at.columns * at.power;
    return at;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

rw_status rw_state_space_shape(const rw_node *node, int *out_width)
{
    const int state = ((const rw_state_space *)node->attributes)->state;
    assert(state >= 1 && state <= RW_STATE_SPACE_MAX_STATE);
    (void)state;
    *out_width = node->in_width[0];
    return RW_OK;
}

rw_status rw_state_space_sizes(rw_node *node)
{
    const rw_state_space *options = node->attributes;
    const int width = node->out_width;
    const layout at = layout_of(node);
    node->size.slices = (width + RW_CONV_GROUP - 1) / RW_CONV_GROUP;
    node->size.state = (size_t)options->state * (size_t)width;
    node->size.derived = at.total;
    node->size.derived_grad = (size_t)at.columns * at.family->gradient_reals(options->state);
    /* Two rows a token of a pair of columns, and for a column the state, its adjoint and the
     * working memory of gradient. The convolution and the columns use the same memory in turn;
     * prepare keeps a plan. */
    size_t column = (2 * (size_t)at.chunk * PAIR + 2 * (size_t)options->state) * RW_LANES +
                    at.family->gradient_scratch_reals(options->state);
    node->size.scratch = at.kernel + larger(rw_conv_scratch_reals(at.chunk, width), column);
    return RW_OK;
}

void rw_state_space_channels(const rw_node *node, int begin, int end, int *first, int *last)
{
    int width = node->in_width[0];
    *first = begin * RW_CONV_GROUP;
    *last = end * RW_CONV_GROUP < width ? end * RW_CONV_GROUP : width;
}

static rw_state_space_column column_at(const rw_node *node, const layout *at, const real *derived,
                                       int channel)
{
    int left = at->width - channel;
    return (rw_state_space_column){
        .node = node,
        .state = at->options->state,
        .channel = channel,
        .width = left < RW_LANES ? left : RW_LANES,
        .coefficients = derived + at->coefficients + (size_t)(channel / RW_LANES) * at->coefficient,
    };
}

/* The tokens of a column; `tokens` (PAIR, T, RW_LANES) holds the tokens of its pair, which are
 * packed with the first column. */
static real *pack_tokens(const rw_state_space_column *column, const layout *at, int rows,
                         const real *x, long ld, real *tokens)
{
    const size_t stride = (size_t)at->chunk * RW_LANES;
    const int second = column->channel / RW_LANES % PAIR, left = at->width - column->channel;
    if (second) return tokens + stride;
    x += column->channel;
    if (left >= PAIR * RW_LANES)
        rw_lanes_pack_pair(rows, x, ld, tokens, tokens + stride);
    else
        rw_lanes_pack(rows, column->width, x, ld, tokens);
    if (left > RW_LANES && left < PAIR * RW_LANES)
        rw_lanes_pack(rows, left - RW_LANES, x + RW_LANES, ld, tokens + stride);
    return tokens;
}

/* Where the tokens of a column shall be written, for add_tokens. */
static real *tokens_of(const rw_state_space_column *column, const layout *at, real *tokens)
{
    return tokens + (size_t)(column->channel / RW_LANES % PAIR * at->chunk) * RW_LANES;
}

/* Adds the pair to x, with its second column, or with the last column. */
static void add_tokens(const rw_state_space_column *column, const layout *at, int rows,
                       const real *tokens, real *x, long ld)
{
    const int second = column->channel / RW_LANES % PAIR, width = column->width;
    const real *last = tokens + (size_t)(second * at->chunk) * RW_LANES;
    x += column->channel;
    if (second && width == RW_LANES) {
        rw_lanes_unpack_add_pair(rows, tokens, last, x - RW_LANES, ld);
        return;
    }
    if (second) rw_lanes_unpack_add(rows, RW_LANES, tokens, x - RW_LANES, ld);
    if (second || at->width - column->channel <= RW_LANES)
        rw_lanes_unpack_add(rows, width, last, x, ld);
}

static void zero(real *x, size_t count)
{
    memset(x, 0, count * sizeof *x);
}

/* The kernel is the response of the recurrence to a unit impulse: the term of the token itself, and
 * the terms through its state for later tokens. */
static void impulse_response(const rw_state_space_column *column, const layout *at, real *kernel,
                             real *scratch)
{
    real *u = scratch, *y = u + RW_LANES, *h = y + (size_t)at->chunk * RW_LANES;
    for (int i = 0; i < RW_LANES; i++) u[i] = 1;
    zero(h, (size_t)column->state * RW_LANES);
    at->family->step(column, u, y, h);
    at->family->output(column, at->chunk - 1, h, y + RW_LANES);
    rw_lanes_unpack(at->chunk, column->width, y, kernel + column->channel, at->width);
}

void rw_state_space_prepare(const rw_node *node, const real *const *param, real *derived, int begin,
                            int end, real *scratch)
{
    layout at = layout_of(node);
    real *plan = scratch, *work = scratch + at.kernel;
    /* Slices may be prepared at the same time: each call has its own plan, and the plan of the
     * first slice is kept. */
    rw_conv_plan_init(at.chunk, plan);
    if (begin == 0) memcpy(derived, plan, rw_conv_plan_reals(at.chunk) * sizeof *plan);

    int first, last;
    rw_state_space_channels(node, begin, end, &first, &last);
    for (int channel = first; channel < last; channel += RW_LANES) {
        rw_state_space_column column = column_at(node, &at, derived, channel);
        size_t index = (size_t)(channel / RW_LANES);
        at.family->prepare(&column, param, derived + at.coefficients + index * at.coefficient,
                           derived + at.powers + index * at.power, (size_t)at.columns * at.power);
        impulse_response(&column, &at, derived + at.kernel, work);
    }
    rw_conv_transform(at.chunk, plan, at.width, first, last, derived + at.kernel,
                      derived + at.spectrum, work);
}

/* y += skip * x */
static void add_skip(int rows, int width, const real *skip, const real *x, long ldx, real *y,
                     long ldy)
{
    for (long t = 0; t < rows; t++)
        for (int d = 0; d < width; d++) y[t * ldy + d] += skip[d] * x[t * ldx + d];
}

void rw_state_space_forward(const rw_call *call)
{
    layout at = layout_of(call->node);
    rw_conv_forward(at.chunk, call->derived, at.width, call->rows, call->derived + at.spectrum,
                    call->in[0], call->in_ld[0], call->out, call->out_ld, 0, call->scratch);
    add_skip(call->rows, at.width, call->param[RW_STATE_SPACE_SKIP], call->in[0], call->in_ld[0],
             call->out, call->out_ld);
    if (!call->carry.state_in) return;

    real *tokens = call->scratch, *h = tokens + PAIR * (size_t)at.chunk * RW_LANES;
    for (int channel = 0; channel < at.width; channel += RW_LANES) {
        rw_state_space_column column = column_at(call->node, &at, call->derived, channel);
        rw_lanes_pack(column.state, column.width, call->carry.state_in + channel, at.width, h);
        at.family->output(&column, call->rows, h, tokens_of(&column, &at, tokens));
        add_tokens(&column, &at, call->rows, tokens, call->out, call->out_ld);
    }
}

void rw_state_space_summary(const rw_call *call)
{
    layout at = layout_of(call->node);
    real *tokens = call->scratch, *h = tokens + PAIR * (size_t)at.chunk * RW_LANES;
    for (int channel = 0; channel < at.width; channel += RW_LANES) {
        rw_state_space_column column = column_at(call->node, &at, call->derived, channel);
        const real *u = pack_tokens(&column, &at, call->rows, call->in[0], call->in_ld[0], tokens);
        at.family->input(&column, call->rows, u, h);
        rw_lanes_unpack(column.state, column.width, h, call->carry.state + channel, at.width);
    }
}

void rw_state_space_step(const rw_call *call)
{
    layout at = layout_of(call->node);
    real *u = call->scratch, *y = u + RW_LANES, *h = y + RW_LANES;
    for (int channel = 0; channel < at.width; channel += RW_LANES) {
        rw_state_space_column column = column_at(call->node, &at, call->derived, channel);
        rw_lanes_pack(1, column.width, call->in[0] + channel, 0, u);
        rw_lanes_pack(column.state, column.width, call->carry.state + channel, at.width, h);
        at.family->step(&column, u, y, h);
        rw_lanes_unpack(column.state, column.width, h, call->carry.state + channel, at.width);
        rw_lanes_unpack(1, column.width, y, call->out + channel, 0);
    }
    add_skip(1, at.width, call->param[RW_STATE_SPACE_SKIP], call->in[0], 0, call->out, 0);
}

void rw_state_space_adjoint(const rw_call *call)
{
    layout at = layout_of(call->node);
    real *tokens = call->scratch, *p = tokens + PAIR * (size_t)at.chunk * RW_LANES;
    for (int channel = 0; channel < at.width; channel += RW_LANES) {
        rw_state_space_column column = column_at(call->node, &at, call->derived, channel);
        const real *dy =
            pack_tokens(&column, &at, call->rows, call->back.dout, call->back.dout_ld, tokens);
        at.family->output_adjoint(&column, call->rows, dy, p);
        rw_lanes_unpack(column.state, column.width, p, call->carry.dstate_in + channel, at.width);
    }
}

static void backward_input(const rw_call *call, const layout *at)
{
    rw_conv_backward(at->chunk, call->derived, at->width, call->rows, call->derived + at->spectrum,
                     call->back.dout, call->back.dout_ld, call->back.din[0], call->back.din_ld[0],
                     call->back.din_add[0], call->scratch);
    add_skip(call->rows, at->width, call->param[RW_STATE_SPACE_SKIP], call->back.dout,
             call->back.dout_ld, call->back.din[0], call->back.din_ld[0]);
    if (!call->carry.dstate_out) return;

    real *tokens = call->scratch, *p = tokens + PAIR * (size_t)at->chunk * RW_LANES;
    for (int channel = 0; channel < at->width; channel += RW_LANES) {
        rw_state_space_column column = column_at(call->node, at, call->derived, channel);
        rw_lanes_pack(column.state, column.width, call->carry.dstate_out + channel, at->width, p);
        at->family->input_adjoint(&column, call->rows, p, tokens_of(&column, at, tokens));
        add_tokens(&column, at, call->rows, tokens, call->back.din[0], call->back.din_ld[0]);
    }
}

/* A state (N) of the carry, or zero where there is none. */
static void pack_state(const rw_state_space_column *column, const real *state, int width, real *h)
{
    if (state)
        rw_lanes_pack(column->state, column->width, state + column->channel, width, h);
    else
        zero(h, (size_t)column->state * RW_LANES);
}

static void backward_params(const rw_call *call, const layout *at)
{
    const size_t tokens = PAIR * (size_t)at->chunk * RW_LANES;
    const size_t state = (size_t)at->options->state * RW_LANES;
    real *in = call->scratch, *dout = in + tokens, *h = dout + tokens, *dh = h + state;
    const size_t gradient = at->family->gradient_reals(at->options->state);
    for (int channel = 0; channel < at->width; channel += RW_LANES) {
        rw_state_space_column column = column_at(call->node, at, call->derived, channel);
        const real *u = pack_tokens(&column, at, call->rows, call->in[0], call->in_ld[0], in);
        const real *dy =
            pack_tokens(&column, at, call->rows, call->back.dout, call->back.dout_ld, dout);
        pack_state(&column, call->carry.state_in, at->width, h);
        pack_state(&column, call->carry.dstate_out, at->width, dh);
        real *dcoefficients =
            gradient > 0 ? call->back.dderived + (size_t)(channel / RW_LANES) * gradient : NULL;
        at->family->gradient(&column, call->rows, u, dy, dh, h, call->back.dparam, dcoefficients,
                             dh + state);
    }
}

void rw_state_space_backward(const rw_call *call)
{
    layout at = layout_of(call->node);
    backward_params(call, &at);
    real *dskip = call->back.dparam[RW_STATE_SPACE_SKIP];
    for (long t = 0; t < call->rows; t++) {
        const real *u = call->in[0] + t * call->in_ld[0],
                   *dy = call->back.dout + t * call->back.dout_ld;
        for (int d = 0; d < at.width; d++) dskip[d] += dy[d] * u[d];
    }
    if (call->back.din[0])
        backward_input(call, &at); /* last use of the input: the call may overwrite the input */
}

void rw_state_space_advance(const rw_node *node, const real *derived, const real *transition,
                            int level, bool transpose, int begin, int end, const real *x,
                            const real *b, real *y)
{
    (void)transition;
    layout at = layout_of(node);
    real from[RW_STATE_SPACE_MAX_STATE * RW_LANES], to[RW_STATE_SPACE_MAX_STATE * RW_LANES];
    int first, last;
    rw_state_space_channels(node, begin, end, &first, &last);
    for (int channel = first; channel < last; channel += RW_LANES) {
        rw_state_space_column column = column_at(node, &at, derived, channel);
        size_t index = (size_t)level * (size_t)at.columns + (size_t)(channel / RW_LANES);
        if (x) {
            rw_lanes_pack(column.state, column.width, x + channel, at.width, from);
            at.family->apply(&column, derived + at.powers + index * at.power, transpose, from, to);
        }
        for (long n = 0; n < column.state; n++)
            for (int i = 0; i < column.width; i++)
                y[n * at.width + channel + i] =
                    (x ? to[n * RW_LANES + i] : 0) + b[n * at.width + channel + i];
    }
}

/* A real transform of n points takes 5/2 n log2 n; two of 2 T points a channel,
 * and the product of the spectra. */
double rw_state_space_flops(const rw_node *node, int rows, double recurrence)
{
    double points = 2.0 * (node->setting.chunk > 0 ? node->setting.chunk : rows);
    double convolution = 2 * 2.5 * points * log2(points) + 3 * points;
    return node->in_width[0] * (convolution + rows * (recurrence + 2));
}

const rw_key rw_state_space_keys[] = {
    {.name = "state",
     .type = RW_KEY_INT,
     .fallback = "64",
     .min = 2,
     .max = RW_STATE_SPACE_MAX_STATE,
     .doc = "real numbers of state per channel"},
    {.name = "dt_min",
     .type = RW_KEY_REAL,
     .fallback = "1.0e-3",
     .min = 1e-8,
     .max = 1e3,
     .neutral = true,
     .doc = "smallest initial time step; a channel sees about 1/dt tokens back"},
    {.name = "dt_max",
     .type = RW_KEY_REAL,
     .fallback = "1.0e-1",
     .min = 1e-8,
     .max = 1e3,
     .neutral = true,
     .doc = "largest initial time step"},
    RW_KEYS_END,
};

rw_status rw_state_space_options(const rw_config *config, rw_state_space *options)
{
    options->state = (int)rw_config_int(config, "state");
    options->dt_min = rw_config_real(config, "dt_min");
    options->dt_max = rw_config_real(config, "dt_max");
    if (options->dt_min > options->dt_max)
        return rw_config_fail(config, "dt_min", "%g is larger than dt_max, %g; exchange them",
                              options->dt_min, options->dt_max);
    return RW_OK;
}

/* Uniform in [low, high). */
static void init_uniform(const rw_param *param, rw_random stream, real *out)
{
    for (long i = 0; i < param->rows * param->cols; i++) {
        double u = rw_random_uniform(stream, (uint64_t)i);
        out[i] = (real)(param->low + (param->high - param->low) * u);
    }
}

rw_status rw_state_space_params(rw_graph *graph, const rw_state_space *options, int width,
                                double deviation, int *params)
{
    const rw_param shared[RW_STATE_SPACE_PARAMS] = {
        [RW_STATE_SPACE_LOG_DT] = {.name = "log_dt",
                                   .rows = 1,
                                   .cols = width,
                                   .group = RW_GROUP_STATE,
                                   .init = init_uniform,
                                   .low = log(options->dt_min),
                                   .high = log(options->dt_max)},
        [RW_STATE_SPACE_C] = {.name = "C",
                              .rows = width,
                              .cols = options->state,
                              .group = RW_GROUP_STATE,
                              .init = rw_init_normal,
                              .scale = deviation},
        [RW_STATE_SPACE_SKIP] = {.name = "skip",
                                 .rows = 1,
                                 .cols = width,
                                 .group = RW_GROUP_STATE,
                                 .init = rw_init_normal,
                                 .scale = 1},
    };
    for (int i = 0; i < RW_STATE_SPACE_PARAMS; i++)
        RW_TRY(rw_graph_param(graph, &shared[i], &params[i]));
    return RW_OK;
}

rw_status rw_state_space_block(rw_graph *graph, const rw_state_space *options, rw_value x,
                               rw_status (*add)(rw_graph *graph, const rw_state_space *options,
                                                rw_value u, rw_value *y),
                               rw_value *y)
{
    const int width = x.width;
    const rw_linear_options in = {.name = "in", .width = 2 * width};
    const rw_linear_options out = {.name = "out", .width = width, .bias = true, .output = true};
    rw_value both, mixed, active, gate, gated;
    RW_TRY(rw_linear(graph, x, &in, &both));
    RW_TRY(add(graph, options, rw_columns(both, 0, width), &mixed));
    RW_TRY(rw_gelu(graph, mixed, &active));
    RW_TRY(rw_silu(graph, rw_columns(both, width, width), &gate));
    RW_TRY(rw_product(graph, active, gate, &gated));
    return rw_linear(graph, gated, &out, y);
}
