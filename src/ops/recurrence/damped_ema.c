/* The multi-dimensional damped moving average: N averages of each channel, each
 * with a weight and a damping of its own, added up.
 *
 *   p = sigmoid(alpha),   q = 1 - p sigmoid(delta)                  (D, N)
 *   h_t = q h_{t-1} + p beta x_t,   y_t = sum_n gamma_n h_t,n / sqrt N + omega x_t
 *
 * The factors of x and h are moved to the readout, so that a token costs two multiplications an
 * average:
 *
 *   h_t = q h_{t-1} + x_t,   y_t = sum_n c_n h_t,n + omega x_t,   c = p beta gamma / sqrt N
 *
 * The carry is the state (N, D). T tokens multiply the state by q^T, the same factor for every
 * chunk: all ranks know the factor, and prepare computes it once a step. The loops run over columns
 * of RW_LANES channels (kernels/moving_average.h). */
#include <math.h>
#include <string.h>

#include "kernels/lanes.h"
#include "kernels/moving_average.h"
#include "graph/layers.h"

extern const rw_op rw_op_damped_ema;

enum { ALPHA, DELTA, BETA, GAMMA, OMEGA, PARAMS }; /* (D, N), omega (1, D) */

typedef struct {
    int averages; /* N */
} attributes;

static int averages_of(const rw_node *node)
{
    return ((const attributes *)node->attributes)->averages;
}

/* A column of channels: all arrays (rows, RW_LANES) or (N, RW_LANES). */
typedef struct {
    int averages;
    int channel, width; /* the first channel, and how many: 1 .. RW_LANES */
    const real *decay, *readout;
} column;

/* ---- What is prepared -------------------------------------------------------- */

/* derived:  coefficients (columns, 2, N, RW_LANES): decay q, readout c
 *           | powers (levels, N, D): q^(T 2^level)
 * dderived: as coefficients. Slices are columns. */
static size_t column_reals(const rw_node *node)
{
    return 2 * (size_t)averages_of(node) * RW_LANES;
}

static column column_at(const rw_node *node, const real *derived, int index)
{
    const real *first = derived + (size_t)index * column_reals(node);
    int left = node->out_width - index * RW_LANES;
    return (column){.averages = averages_of(node),
                    .channel = index * RW_LANES,
                    .width = left < RW_LANES ? left : RW_LANES,
                    .decay = first,
                    .readout = first + column_reals(node) / 2};
}

static size_t powers_at(const rw_node *node, int level)
{
    return (size_t)node->size.slices * column_reals(node) + (size_t)level * node->size.state;
}

static rw_status damped_ema_shape(const rw_node *node, int *out_width)
{
    *out_width = node->in_width[0];
    return RW_OK;
}

static rw_status damped_ema_sizes(rw_node *node)
{
    const size_t averages = (size_t)averages_of(node);
    node->size.slices = (node->out_width + RW_LANES - 1) / RW_LANES;
    node->size.state = averages * (size_t)node->out_width;
    node->size.derived = powers_at(node, node->setting.levels);
    node->size.derived_grad = (size_t)node->size.slices * column_reals(node);
    node->size.scratch = 2 * ((size_t)node->setting.chunk + averages) * RW_LANES;
    return RW_OK;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* An average of a channel, in double. */
typedef struct {
    double p, damping, q, beta, gamma, scale;
} average;

static average average_of(const rw_node *node, const real *const *param, int channel, int n)
{
    const long at = (long)channel * averages_of(node) + n;
    average self = {.p = sigmoid((double)param[ALPHA][at]),
                    .damping = sigmoid((double)param[DELTA][at]),
                    .beta = (double)param[BETA][at],
                    .gamma = (double)param[GAMMA][at],
                    .scale = 1 / sqrt(averages_of(node))};
    self.q = 1 - self.p * self.damping;
    return self;
}

/* q^(T 2^level). A power that float cannot tell from zero is zero: subnormal numbers would be slow.
 */
static void prepare_powers(const rw_node *node, double q, real *derived, int channel, int n)
{
    real *first = derived + (size_t)n * (size_t)node->out_width + channel;
    for (int level = 0; level < node->setting.levels; level++) {
        double power = pow(q, ldexp(node->setting.chunk, level));
        first[powers_at(node, level)] = (real)(power < 1e-30 ? 0 : power);
    }
}

static void damped_ema_prepare(const rw_node *node, const real *const *param, real *derived,
                               int begin, int end, real *scratch)
{
    (void)scratch;
    for (int slice = begin; slice < end; slice++) {
        const column at = column_at(node, derived, slice);
        real *decay = derived + (size_t)slice * column_reals(node);
        real *readout = decay + column_reals(node) / 2;
        memset(decay, 0, column_reals(node) * sizeof *decay);
        for (int i = 0; i < at.width; i++)
            for (int n = 0; n < at.averages; n++) {
                const average self = average_of(node, param, at.channel + i, n);
                decay[n * RW_LANES + i] = (real)self.q;
                readout[n * RW_LANES + i] = (real)(self.p * self.beta * self.gamma * self.scale);
                prepare_powers(node, self.q, derived, at.channel + i, n);
            }
    }
}

/* Turns the gradients of q and c into gradients of the parameters. */
static void damped_ema_prepare_backward(const rw_node *node, const real *const *param,
                                        const real *derived, const real *dderived,
                                        real *const *dparam, int begin, int end, real *scratch)
{
    (void)derived, (void)scratch;
    for (int slice = begin; slice < end; slice++) {
        column at = column_at(node, dderived, slice);
        for (int i = 0; i < at.width; i++)
            for (int n = 0; n < at.averages; n++) {
                const long index = (long)(at.channel + i) * at.averages + n;
                average self = average_of(node, param, at.channel + i, n);
                double dq = (double)at.decay[n * RW_LANES + i];
                double dc = (double)at.readout[n * RW_LANES + i] * self.scale;
                double dp = dc * self.beta * self.gamma - dq * self.damping;
                dparam[ALPHA][index] += (real)(dp * self.p * (1 - self.p));
                dparam[DELTA][index] += (real)(-dq * self.p * self.damping * (1 - self.damping));
                dparam[BETA][index] += (real)(dc * self.p * self.gamma);
                dparam[GAMMA][index] += (real)(dc * self.p * self.beta);
            }
    }
}

/* ---- The chunk ---------------------------------------------------------------- */

/* scratch: x (T, RW_LANES) | y (T, RW_LANES) | h, g (N, RW_LANES) */
typedef struct {
    real *x, *y, *h, *g;
} workspace;

static workspace workspace_of(const rw_call *call)
{
    const size_t tokens = (size_t)call->node->setting.chunk * RW_LANES;
    workspace at = {.x = call->scratch};
    at.y = at.x + tokens;
    at.h = at.y + tokens;
    at.g = at.h + (size_t)averages_of(call->node) * RW_LANES;
    return at;
}

static rw_moving_average averages_over(const column *at, int rows)
{
    return (rw_moving_average){at->averages, rows, at->decay, at->readout};
}

/* The column's part of a state (N, D), or zero where there is none. */
static void pack_state(const column *at, const real *state, int width, real *out)
{
    if (state)
        rw_lanes_pack(at->averages, at->width, state + at->channel, width, out);
    else
        memset(out, 0, (size_t)at->averages * RW_LANES * sizeof *out);
}

/* omega of the column times its rows. */
static void residual(const rw_call *call, const column *at, const real *rows, real *out)
{
    real omega[RW_LANES] = {0};
    memcpy(omega, call->param[OMEGA] + at->channel, (size_t)at->width * sizeof *omega);
    for (int t = 0; t < call->rows; t++)
        rw_lanes_store(out, t, rw_lanes_load(omega, 0) * rw_lanes_load(rows, t));
}

static void damped_ema_summary(const rw_call *call)
{
    const int width = call->node->out_width;
    const workspace w = workspace_of(call);
    for (int i = 0; i < call->node->size.slices; i++) {
        const column at = column_at(call->node, call->derived, i);
        const rw_moving_average all = averages_over(&at, call->rows);
        rw_lanes_pack(call->rows, at.width, call->in[0] + at.channel, call->in_ld[0], w.x);
        pack_state(&at, NULL, width, w.h);
        rw_moving_average_state(&all, w.x, w.h);
        rw_lanes_unpack(at.averages, at.width, w.h, call->carry.state + at.channel, width);
    }
}

/* The output of all columns from `state`. end: the state after the rows; NULL: not wanted. */
static void output(const rw_call *call, const real *state, real *end)
{
    const int width = call->node->out_width;
    const workspace w = workspace_of(call);
    for (int i = 0; i < call->node->size.slices; i++) {
        const column at = column_at(call->node, call->derived, i);
        const rw_moving_average all = averages_over(&at, call->rows);
        rw_lanes_pack(call->rows, at.width, call->in[0] + at.channel, call->in_ld[0], w.x);
        pack_state(&at, state, width, w.h);
        residual(call, &at, w.x, w.y);
        rw_moving_average_output(&all, w.x, w.y, w.h);
        rw_lanes_unpack(call->rows, at.width, w.y, call->out + at.channel, call->out_ld);
        if (end) rw_lanes_unpack(at.averages, at.width, w.h, end + at.channel, width);
    }
}

static void damped_ema_forward(const rw_call *call)
{
    output(call, call->carry.state_in, NULL);
}

static void damped_ema_step(const rw_call *call)
{
    output(call, call->carry.state, call->carry.state);
}

static void damped_ema_adjoint(const rw_call *call)
{
    const int width = call->node->out_width;
    const workspace w = workspace_of(call);
    for (int i = 0; i < call->node->size.slices; i++) {
        const column at = column_at(call->node, call->derived, i);
        const rw_moving_average all = averages_over(&at, call->rows);
        rw_lanes_pack(call->rows, at.width, call->back.dout + at.channel, call->back.dout_ld, w.y);
        pack_state(&at, NULL, width, w.g);
        rw_moving_average_adjoint(&all, w.y, w.g);
        rw_lanes_unpack(at.averages, at.width, w.g, call->carry.dstate_in + at.channel, width);
    }
}

static void residual_gradient(const rw_call *call, const column *at, const workspace *w)
{
    rw_vector sum = {0};
    for (int t = 0; t < call->rows; t++) sum += rw_lanes_load(w->y, t) * rw_lanes_load(w->x, t);
    for (int i = 0; i < at->width; i++) call->back.dparam[OMEGA][at->channel + i] += sum[i];
}

static void backward_column(const rw_call *call, const workspace *w, int index)
{
    const int width = call->node->out_width;
    const column at = column_at(call->node, call->derived, index);
    const rw_moving_average all = averages_over(&at, call->rows);
    real *ddecay = call->back.dderived + (size_t)index * column_reals(call->node);
    rw_lanes_pack(call->rows, at.width, call->in[0] + at.channel, call->in_ld[0], w->x);
    rw_lanes_pack(call->rows, at.width, call->back.dout + at.channel, call->back.dout_ld, w->y);
    pack_state(&at, call->carry.state_in, width, w->h);
    pack_state(&at, call->carry.dstate_out, width, w->g);
    residual_gradient(call, &at, w);
    rw_moving_average_gradient(&all, w->x, w->y, w->h, w->g, ddecay,
                               ddecay + column_reals(call->node) / 2);
    if (!call->back.din[0]) return;
    residual(call, &at, w->y, w->x);
    rw_moving_average_input_gradient(&all, w->y, w->x, w->g);
    real *dx = call->back.din[0] + at.channel;
    if (call->back.din_add[0])
        rw_lanes_unpack_add(call->rows, at.width, w->x, dx, call->back.din_ld[0]);
    else
        rw_lanes_unpack(call->rows, at.width, w->x, dx, call->back.din_ld[0]);
}

static void damped_ema_backward(const rw_call *call)
{
    const workspace w = workspace_of(call);
    for (int i = 0; i < call->node->size.slices; i++) backward_column(call, &w, i);
}

/* y = A x + b. A is diagonal: its own transpose. */
static void damped_ema_advance(const rw_node *node, const real *derived, const real *transition,
                               int level, bool transpose, int begin, int end, const real *x,
                               const real *b, real *y)
{
    (void)transition, (void)transpose;
    const long width = node->out_width, first = (long)begin * RW_LANES;
    const long last = (long)end * RW_LANES < width ? (long)end * RW_LANES : width;
    const real *power = derived + powers_at(node, level);
    for (int n = 0; n < averages_of(node); n++)
        for (long i = n * width + first; i < n * width + last; i++)
            y[i] = b[i] + (x ? power[i] * x[i] : 0);
}

/* ---- The definition ----------------------------------------------------------- */

/* y_t += gamma h_t / sqrt N of average n of channel d. */
static void reference_average(const rw_call *call, int d, int n)
{
    const int averages = averages_of(call->node);
    const long at = (long)d * averages + n;
    double p = sigmoid((double)call->param[ALPHA][at]), h = 0;
    double q = 1 - p * sigmoid((double)call->param[DELTA][at]);
    for (long t = 0; t < call->rows; t++) {
        real *y = call->out + t * call->out_ld + d;
        h = q * h + p * (double)call->param[BETA][at] * (double)call->in[0][t * call->in_ld[0] + d];
        *y = (real)((double)*y + (double)call->param[GAMMA][at] * h / sqrt(averages));
    }
}

static void damped_ema_reference(const rw_call *call)
{
    for (int d = 0; d < call->node->in_width[0]; d++) {
        for (long t = 0; t < call->rows; t++)
            call->out[t * call->out_ld + d] =
                call->param[OMEGA][d] * call->in[0][t * call->in_ld[0] + d];
        for (int n = 0; n < averages_of(call->node); n++) reference_average(call, d, n);
    }
}

/* An average takes two operations a token in summary, four in forward. */
static double damped_ema_flops(const rw_node *node, int rows)
{
    return (6.0 * averages_of(node) + 2) * rows * node->in_width[0];
}

/* ---- Building ------------------------------------------------------------------ */

/* 1, -1, 1, ... along the averages of a channel, and a little noise. */
static void init_beta(const rw_param *param, rw_random stream, real *out)
{
    for (long i = 0; i < param->rows * param->cols; i++)
        out[i] = (real)((i % param->cols % 2 ? -1 : 1) +
                        param->scale * rw_random_normal(stream, (uint64_t)i));
}

rw_status rw_damped_ema(rw_graph *graph, rw_value x, int averages, rw_value *y)
{
    const rw_param params[PARAMS] = {
        [ALPHA] = {.name = "alpha", .cols = averages, .init = rw_init_normal, .scale = 0.2},
        [DELTA] = {.name = "delta", .cols = averages, .init = rw_init_normal, .scale = 0.2},
        [BETA] = {.name = "beta", .cols = averages, .init = init_beta, .scale = 0.02},
        [GAMMA] = {.name = "gamma", .cols = averages, .init = rw_init_normal, .scale = 1},
        [OMEGA] = {.name = "omega", .cols = 1, .init = rw_init_normal, .scale = 1},
    };
    const attributes attr = {.averages = averages};
    int index[PARAMS];
    for (int i = 0; i < PARAMS; i++) {
        rw_param param = params[i];
        param.rows = x.width;
        param.group = RW_GROUP_STATE;
        RW_TRY(rw_graph_param(graph, &param, &index[i]));
    }
    return rw_graph_apply(graph, &rw_op_damped_ema, &attr, sizeof attr, &x, 1, index, PARAMS, y);
}

static rw_status damped_ema_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_damped_ema(graph, x, 3, y);
}

const rw_op rw_op_damped_ema = {
    .name = "damped_ema",
    .doc = "damped exponential moving averages of each channel, learned decays",
    .source = "Ma et al. 2022, Mega: moving average equipped gated attention, equations 4 to 6",
    .promises = {.keeps_in = 1},
    .shape = damped_ema_shape,
    .sizes = damped_ema_sizes,
    .prepare = damped_ema_prepare,
    .prepare_backward = damped_ema_prepare_backward,
    .forward = damped_ema_forward,
    .backward = damped_ema_backward,
    .reference = damped_ema_reference,
    .step = damped_ema_step,
    .tree = &(const rw_tree_carry){.summary = damped_ema_summary,
                                   .adjoint = damped_ema_adjoint,
                                   .advance = damped_ema_advance},
    .flops = damped_ema_flops,
    .sample = damped_ema_sample,
};
