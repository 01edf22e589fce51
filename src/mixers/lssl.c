/* The linear state-space layer with the fixed matrices of HiPPO-LegS: the state holds Legendre
 * coefficients of the past input, with a learned time scale and readout per channel. Block and
 * chunk machinery: state_space.h; the recurrence in O(N) a token: kernels/legs.h. */
#include <math.h>
#include <string.h>

#include "kernels/lanes.h"
#include "kernels/legs.h"
#include "mixers/mixer.h"
#include "mixers/state_space.h"

extern const rw_op rw_op_lssl;

_Static_assert(RW_STATE_SPACE_MAX_STATE <= RW_LEGS_MAX_STATE, "states that the kernels take");

static size_t lssl_gradient_scratch_reals(int state)
{
    return (2 * (size_t)state + 1) * RW_LANES; /* tangent, dc, dlog_dt */
}

static size_t lssl_gradient_reals(int state)
{
    (void)state;
    return 0;
}

static void lssl_prepare(const rw_state_space_column *column, const real *const *param,
                         real *coefficients, real *powers, size_t stride)
{
    const int state = column->state;
    for (int i = 0; i < RW_LANES; i++) {
        const long channel = column->channel + i;
        if (i < column->width)
            rw_legs_coefficients(state, i, exp((double)param[RW_STATE_SPACE_LOG_DT][channel]),
                                 param[RW_STATE_SPACE_C] + channel * state, coefficients);
        else
            rw_legs_no_channel(state, i, coefficients);
    }
    if (column->node->setting.levels == 0) return;
    rw_legs_power_one(state, coefficients, powers);
    for (int tokens = 1; tokens < column->node->setting.chunk; tokens *= 2)
        rw_legs_power_double(state, powers);
    for (int level = 1; level < column->node->setting.levels; level++) {
        real *power = powers + (size_t)level * stride;
        memcpy(power, power - stride, rw_legs_power_reals(state) * sizeof *power);
        rw_legs_power_double(state, power);
    }
}

static void lssl_step(const rw_state_space_column *column, const real *u, real *y, real *h)
{
    rw_legs_run(column->state, column->coefficients, 1, u, y, h);
}

static void zero(const rw_state_space_column *column, real *h)
{
    memset(h, 0, (size_t)column->state * RW_LANES * sizeof *h);
}

static void lssl_input(const rw_state_space_column *column, int rows, const real *u, real *h)
{
    zero(column, h);
    rw_legs_run(column->state, column->coefficients, rows, u, NULL, h);
}

static void lssl_input_adjoint(const rw_state_space_column *column, int rows, real *p, real *du)
{
    rw_legs_run_adjoint(column->state, column->coefficients, rows, NULL, du, p);
}

static void lssl_output(const rw_state_space_column *column, int rows, real *h, real *y)
{
    rw_legs_run(column->state, column->coefficients, rows, NULL, y, h);
}

static void lssl_output_adjoint(const rw_state_space_column *column, int rows, const real *dy,
                                real *p)
{
    zero(column, p);
    rw_legs_run_adjoint(column->state, column->coefficients, rows, dy, NULL, p);
}

/* The state at the chunk's end depends on log_dt too: dh . tangent. */
static void lssl_gradient(const rw_state_space_column *column, int rows, const real *u,
                          const real *dy, const real *dh, real *h, real *const *dparam,
                          real *dcoefficients, real *scratch)
{
    (void)dcoefficients;
    const int state = column->state;
    real *tangent = scratch, *dc = tangent + state * RW_LANES, *dlog_dt = dc + state * RW_LANES;
    memset(scratch, 0, lssl_gradient_scratch_reals(state) * sizeof *scratch);
    rw_legs_gradient(state, column->coefficients, rows, u, dy, h, tangent, dc, dlog_dt);
    for (int n = 0; n < state; n++) {
        rw_vector sum = rw_lanes_load(dlog_dt, 0);
        sum += rw_lanes_load(dh, n) * rw_lanes_load(tangent, n);
        rw_lanes_store(dlog_dt, 0, sum);
    }
    for (int i = 0; i < column->width; i++) {
        const long channel = column->channel + i;
        dparam[RW_STATE_SPACE_LOG_DT][channel] += dlog_dt[i];
        real *dC = dparam[RW_STATE_SPACE_C] + channel * state;
        for (int n = 0; n < state; n++) dC[n] += (real)sqrt(2.0 * n + 1) * dc[n * RW_LANES + i];
    }
}

static void lssl_apply(const rw_state_space_column *column, const real *power, bool transpose,
                       const real *x, real *y)
{
    rw_legs_power_apply(column->state, power, transpose, x, y);
}

static const rw_recurrence legs = {
    .coefficient_reals = rw_legs_coefficient_reals,
    .power_reals = rw_legs_power_reals,
    .gradient_scratch_reals = lssl_gradient_scratch_reals,
    .gradient_reals = lssl_gradient_reals,
    .prepare = lssl_prepare,
    .step = lssl_step,
    .input = lssl_input,
    .input_adjoint = lssl_input_adjoint,
    .output = lssl_output,
    .output_adjoint = lssl_output_adjoint,
    .gradient = lssl_gradient,
    .apply = lssl_apply,
};

/* Element of the HiPPO-LegS matrix. */
static double legs_matrix(int n, int k)
{
    if (n < k) return 0;
    return n == k ? -(n + 1.0) : -sqrt((2.0 * n + 1) * (2.0 * k + 1));
}

/* (I - dt/2 A) h' = (I + dt/2 A) h + dt B u, by elimination (A is lower triangular). */
static void legs_step(int state, double dt, double u, double *h)
{
    double next[RW_STATE_SPACE_MAX_STATE];
    for (int n = 0; n < state; n++) {
        double right = h[n] + dt * sqrt(2.0 * n + 1) * u;
        for (int k = 0; k <= n; k++) right += dt / 2 * legs_matrix(n, k) * h[k];
        for (int k = 0; k < n; k++) right += dt / 2 * legs_matrix(n, k) * next[k];
        next[n] = right / (1 - dt / 2 * legs_matrix(n, n));
    }
    memcpy(h, next, (size_t)state * sizeof *h);
}

static void lssl_reference(const rw_call *call)
{
    const int state = ((const rw_state_space *)call->node->attributes)->state;
    for (int d = 0; d < call->node->in_width[0]; d++) {
        double h[RW_STATE_SPACE_MAX_STATE] = {0};
        double dt = exp((double)call->param[RW_STATE_SPACE_LOG_DT][d]);
        const real *C = call->param[RW_STATE_SPACE_C] + (long)d * state;
        for (long t = 0; t < call->rows; t++) {
            double u = call->in[0][t * call->in_ld[0] + d];
            legs_step(state, dt, u, h);
            double y = (double)call->param[RW_STATE_SPACE_SKIP][d] * u;
            for (int n = 0; n < state; n++) y += (double)C[n] * h[n];
            call->out[t * call->out_ld + d] = (real)y;
        }
    }
}

/* The recurrence of summary takes 7 operations an element, the recurrence of the output 9. */
static double lssl_flops(const rw_node *node, int rows)
{
    double state = ((const rw_state_space *)node->attributes)->state;
    return rw_state_space_flops(node, rows, 16 * state);
}

static rw_status lssl_sample(rw_graph *graph, rw_value x, rw_value *y);

const rw_op rw_op_lssl = {
    .name = "lssl",
    .doc = "linear state space, HiPPO-LegS, bilinear; FFT inside a chunk, state across",
    .source = "Gu et al. 2021, Combining recurrent, convolutional, and continuous-time models "
              "with linear state-space layers, equations 1, 3 and 4",
    RW_STATE_SPACE_CALLBACKS,
    .reference = lssl_reference,
    .flops = lssl_flops,
    .sample = lssl_sample,
};

static rw_status add(rw_graph *graph, const rw_state_space *options, rw_value u, rw_value *y)
{
    int params[RW_STATE_SPACE_PARAMS];
    RW_TRY(rw_state_space_params(graph, options, u.width, 1, params));
    return rw_graph_apply(graph, &rw_op_lssl, options, sizeof *options, &u, 1, params,
                          RW_STATE_SPACE_PARAMS, y);
}

static rw_status lssl_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_state_space options = {.recurrence = &legs, .state = 9, .dt_min = 0.01, .dt_max = 0.5};
    return add(graph, &options, x, y);
}

static rw_status lssl_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    rw_state_space options = {.recurrence = &legs};
    RW_TRY(rw_state_space_options(config, &options));
    return rw_state_space_block(graph, &options, x, add, y);
}

const rw_mixer rw_mixer_lssl = {
    .name = "lssl",
    .summary = "linear state-space layer with HiPPO-LegS memory, by FFT inside a chunk",
    .source = "Gu et al. 2021, Combining recurrent, convolutional, and continuous-time models "
              "with linear state-space layers",
    .keys = rw_state_space_keys,
    .build = lssl_build,
};
