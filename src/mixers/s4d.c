/* The diagonal state-space layer: N/2 complex modes per channel, everything
 * learned. Block and chunk machinery: state_space.h; the recurrence:
 * kernels/diagonal.h.
 *
 *   A_m = -exp(log_real_m) + i imag_m,   lambda = exp(dt A),   Bbar = (lambda - 1) / A
 *   x_t = lambda x_{t-1} + u_t,          y_t = 2 Re sum_m C_m Bbar_m x_t + skip u_t
 *
 * (zero-order hold with B = 1, moved behind the recurrence). */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "kernels/diagonal.h"
#include "kernels/lanes.h"
#include "mixers/mixer.h"
#include "mixers/state_space.h"

extern const rw_op rw_op_s4d;

enum {
    LOG_REAL = RW_STATE_SPACE_PARAMS, /* (D, N/2) */
    IMAG,                             /* (D, N/2) */
    PARAMS
};

/* The constants of a mode, from its parameters, in double. */
typedef struct {
    double dt;
    double complex A, lambda, bbar, C;
} mode;

static mode mode_of(const real *const *param, int modes, long channel, int m)
{
    const long at = channel * modes + m;
    const real *C = param[RW_STATE_SPACE_C] + 2 * at;
    mode self = {.dt = exp((double)param[RW_STATE_SPACE_LOG_DT][channel]),
                 .A = -exp((double)param[LOG_REAL][at]) + I * (double)param[IMAG][at],
                 .C = (double)C[0] + I * (double)C[1]};
    self.lambda = cexp(self.dt * self.A);
    self.bbar = (self.lambda - 1) / self.A;
    return self;
}

static size_t s4d_coefficient_reals(int state)
{
    return (size_t)state / 2 * RW_DIAGONAL_COEFFICIENTS * RW_LANES;
}

static size_t s4d_gradient_reals(int state)
{
    return (size_t)state / 2 * RW_DIAGONAL_GRADIENTS * RW_LANES;
}

static size_t s4d_power_reals(int state)
{
    return (size_t)state * RW_LANES;
}

static size_t s4d_gradient_scratch_reals(int state)
{
    return 3 * (size_t)state * RW_LANES; /* rate, sums */
}

static void set_complex(real *re, double complex value)
{
    re[0] = (real)creal(value);
    re[RW_LANES] = (real)cimag(value);
}

/* lambda^(T 2^level) by squaring in double. A power that float cannot tell from zero is zero:
 * subnormal numbers would be slow. */
static void prepare_powers(const rw_node *node, double complex lambda, real *powers, size_t stride)
{
    double re = creal(lambda), im = cimag(lambda);
    int level = 0;
    for (long tokens = 1; level < node->setting.levels; tokens *= 2) {
        if (tokens >= node->setting.chunk)
            set_complex(powers + (size_t)level++ * stride, re + I * im);
        double square = re * re - im * im;
        im = 2 * re * im;
        re = square;
        if (re * re + im * im < 1e-60) re = im = 0;
    }
}

static void s4d_prepare(const rw_state_space_column *column, const real *const *param,
                        real *coefficients, real *powers, size_t stride)
{
    const int modes = column->state / 2;
    memset(coefficients, 0, s4d_coefficient_reals(column->state) * sizeof *coefficients);
    for (int level = 0; level < column->node->setting.levels; level++)
        memset(powers + (size_t)level * stride, 0, s4d_power_reals(column->state) * sizeof *powers);
    for (int i = 0; i < column->width; i++)
        for (int m = 0; m < modes; m++) {
            mode self = mode_of(param, modes, column->channel + i, m);
            rw_diagonal_coefficients(m, i, self.lambda, 2 * self.C * self.bbar, coefficients);
            prepare_powers(column->node, self.lambda, powers + 2L * m * RW_LANES + i, stride);
        }
}

static void s4d_step(const rw_state_space_column *column, const real *u, real *y, real *h)
{
    rw_diagonal_run(column->state / 2, column->coefficients, 1, u, y, h);
}

static void s4d_input(const rw_state_space_column *column, int rows, const real *u, real *h)
{
    rw_diagonal_input(column->state / 2, column->coefficients, rows, u, h);
}

static void s4d_input_adjoint(const rw_state_space_column *column, int rows, real *p, real *du)
{
    rw_diagonal_input_adjoint(column->state / 2, column->coefficients, rows, p, du);
}

static void s4d_output(const rw_state_space_column *column, int rows, real *h, real *y)
{
    rw_diagonal_output(column->state / 2, column->coefficients, rows, h, y);
}

static void s4d_output_adjoint(const rw_state_space_column *column, int rows, const real *dy,
                               real *p)
{
    rw_diagonal_output_adjoint(column->state / 2, column->coefficients, rows, dy, p);
}

/* With S = sum_t dy_t c rate_t + conj(dh) rate_T, the loss changes by Re(S dlog
 * lambda): derivatives Re S and -Im S; likewise for c with sum_t dy_t x_t. The
 * gradient holds those by log lambda in the place of lambda. */
static void s4d_gradient(const rw_state_space_column *column, int rows, const real *u,
                         const real *dy, const real *dh, real *h, real *const *dparam,
                         real *dcoefficients, real *scratch)
{
    (void)dparam;
    const int modes = column->state / 2;
    real *rate = scratch, *sums = rate + column->state * RW_LANES;
    rw_diagonal_gradient(modes, column->coefficients, rows, u, dy, h, rate, sums);
    for (int m = 0; m < modes; m++) {
        const real *at = column->coefficients + (long)m * RW_DIAGONAL_COEFFICIENTS * RW_LANES;
        real *out = dcoefficients + (long)m * RW_DIAGONAL_GRADIENTS * RW_LANES;
        rw_vector c_re = rw_lanes_load(at, RW_DIAGONAL_C_RE);
        rw_vector c_im = rw_lanes_load(at, RW_DIAGONAL_C_IM);
        rw_vector v_re = rw_lanes_load(sums, 4 * m), v_im = rw_lanes_load(sums, 4 * m + 1);
        rw_vector g_re = rw_lanes_load(dh, 2 * m), g_im = rw_lanes_load(dh, 2 * m + 1);
        rw_vector t_re = rw_lanes_load(rate, 2 * m), t_im = rw_lanes_load(rate, 2 * m + 1);
        rw_vector S_re = c_re * v_re - c_im * v_im + (g_re * t_re + g_im * t_im);
        rw_vector S_im = c_re * v_im + c_im * v_re + (g_re * t_im - g_im * t_re);
        const rw_vector add[RW_DIAGONAL_GRADIENTS] = {
            [RW_DIAGONAL_LAMBDA_RE] = S_re,
            [RW_DIAGONAL_LAMBDA_IM] = -S_im,
            [RW_DIAGONAL_C_RE] = rw_lanes_load(sums, 4 * m + 2),
            [RW_DIAGONAL_C_IM] = -rw_lanes_load(sums, 4 * m + 3),
        };
        for (int k = 0; k < RW_DIAGONAL_GRADIENTS; k++)
            rw_lanes_store(out, k, rw_lanes_load(out, k) + add[k]);
    }
}

static void s4d_apply(const rw_state_space_column *column, const real *power, bool transpose,
                      const real *x, real *y)
{
    rw_diagonal_power_apply(column->state / 2, power, transpose, x, y);
}

static const rw_recurrence diagonal = {
    .coefficient_reals = s4d_coefficient_reals,
    .power_reals = s4d_power_reals,
    .gradient_scratch_reals = s4d_gradient_scratch_reals,
    .gradient_reals = s4d_gradient_reals,
    .prepare = s4d_prepare,
    .step = s4d_step,
    .input = s4d_input,
    .input_adjoint = s4d_input_adjoint,
    .output = s4d_output,
    .output_adjoint = s4d_output_adjoint,
    .gradient = s4d_gradient,
    .apply = s4d_apply,
};

/* The gradient of w, from the derivatives by re w and im w: the loss changes by Re(S dw). */
static double complex sensitivity(const real *re)
{
    return re[0] - I * (double)re[RW_LANES];
}

/* The chain rule from (log lambda = dt A, c = 2 C Bbar) to the parameters of a mode. */
static void mode_backward(const mode *self, double complex S_log_lambda, double complex S_c,
                          long at, double *dlog_dt, real *const *dparam)
{
    double complex by_dt = self->lambda; /* d Bbar / d dt */
    double complex by_A = (self->dt * self->lambda - self->bbar) / self->A;
    double complex S_bbar = 2 * self->C * S_c, S_C = 2 * self->bbar * S_c;
    double complex S_A = S_log_lambda * self->dt + S_bbar * by_A;
    *dlog_dt += self->dt * creal(S_log_lambda * self->A + S_bbar * by_dt);
    dparam[LOG_REAL][at] += (real)(creal(S_A) * creal(self->A));
    dparam[IMAG][at] += (real)-cimag(S_A);
    dparam[RW_STATE_SPACE_C][2 * at] += (real)creal(S_C);
    dparam[RW_STATE_SPACE_C][2 * at + 1] += (real)-cimag(S_C);
}

static void s4d_prepare_backward(const rw_node *node, const real *const *param, const real *derived,
                                 const real *dderived, real *const *dparam, int begin, int end,
                                 real *scratch)
{
    (void)derived;
    (void)scratch;
    const int state = ((const rw_state_space *)node->attributes)->state, modes = state / 2;
    int first, last;
    rw_state_space_channels(node, begin, end, &first, &last);
    for (long channel = first; channel < last; channel++) {
        const real *gradients = dderived +
                                (size_t)(channel / RW_LANES) * s4d_gradient_reals(state) +
                                channel % RW_LANES;
        double dlog_dt = 0;
        for (int m = 0; m < modes; m++) {
            mode self = mode_of(param, modes, channel, m);
            const real *of = gradients + (long)m * RW_DIAGONAL_GRADIENTS * RW_LANES;
            mode_backward(&self, sensitivity(of + RW_DIAGONAL_LAMBDA_RE * RW_LANES),
                          sensitivity(of + RW_DIAGONAL_C_RE * RW_LANES), channel * modes + m,
                          &dlog_dt, dparam);
        }
        dparam[RW_STATE_SPACE_LOG_DT][channel] += (real)dlog_dt;
    }
}

/* h_t = lambda h_{t-1} + Bbar u_t, y_t = 2 Re sum_m C_m h_t,m + skip u_t */
static void reference_channel(const rw_call *call, int modes, int d)
{
    double complex h[RW_STATE_SPACE_MAX_STATE / 2] = {0};
    double dt = exp((double)call->param[RW_STATE_SPACE_LOG_DT][d]);
    const real *C = call->param[RW_STATE_SPACE_C] + 2L * d * modes;
    for (long t = 0; t < call->rows; t++) {
        double u = call->in[0][t * call->in_ld[0] + d];
        double y = (double)call->param[RW_STATE_SPACE_SKIP][d] * u;
        for (int m = 0; m < modes; m++) {
            double decay = exp((double)call->param[LOG_REAL][(long)d * modes + m]);
            double complex A = -decay + I * (double)call->param[IMAG][(long)d * modes + m];
            h[m] = cexp(dt * A) * h[m] + (cexp(dt * A) - 1) / A * u;
            y += 2 * creal(((double)C[2 * m] + I * (double)C[2 * m + 1]) * h[m]);
        }
        call->out[t * call->out_ld + d] = (real)y;
    }
}

static void s4d_reference(const rw_call *call)
{
    const int state = ((const rw_state_space *)call->node->attributes)->state;
    for (int d = 0; d < call->node->in_width[0]; d++) reference_channel(call, state / 2, d);
}

/* By blocks, summary and the carried output take about 5 a mode each
 * (multiplications and additions; kernels/diagonal.c). */
static double s4d_flops(const rw_node *node, int rows)
{
    double modes = ((const rw_state_space *)node->attributes)->state / 2;
    return rw_state_space_flops(node, rows, 10 * modes);
}

static rw_status s4d_sample(rw_graph *graph, rw_value x, rw_value *y);

const rw_op rw_op_s4d = {
    .name = "s4d",
    .doc = "diagonal complex state space, zero-order hold; FFT inside a chunk, state across",
    .source = "Gu, Gupta, Goel, Re 2022, On the parameterization and initialization of diagonal "
              "state space models, sections 3 and 4",
    .prepare_backward = s4d_prepare_backward,
    RW_STATE_SPACE_CALLBACKS,
    .reference = s4d_reference,
    .flops = s4d_flops,
    .sample = s4d_sample,
};

/* S4D-Lin: imag_m = pi m in every channel. */
static void init_imag(const rw_param *param, rw_random stream, real *out)
{
    const double pi = 3.14159265358979323846;
    (void)stream;
    for (long d = 0; d < param->rows; d++)
        for (long m = 0; m < param->cols; m++) out[d * param->cols + m] = (real)(pi * (double)m);
}

static rw_status add(rw_graph *graph, const rw_state_space *options, rw_value u, rw_value *y)
{
    int params[PARAMS];
    const rw_param log_real = {.name = "log_real",
                               .rows = u.width,
                               .cols = options->state / 2,
                               .group = RW_GROUP_STATE,
                               .init = rw_init_constant,
                               .scale = log(0.5)};
    rw_param imag = log_real;
    imag.name = "imag";
    imag.init = init_imag;
    /* C is complex normal: half of its variance in each part. */
    RW_TRY(rw_state_space_params(graph, options, u.width, sqrt(0.5), params));
    RW_TRY(rw_graph_param(graph, &log_real, &params[LOG_REAL]));
    RW_TRY(rw_graph_param(graph, &imag, &params[IMAG]));
    return rw_graph_apply(graph, &rw_op_s4d, options, sizeof *options, &u, 1, params, PARAMS, y);
}

static rw_status s4d_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_state_space options = {
        .recurrence = &diagonal, .state = 10, .dt_min = 0.01, .dt_max = 0.5};
    return add(graph, &options, x, y);
}

static rw_status s4d_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    rw_state_space options = {.recurrence = &diagonal};
    RW_TRY(rw_state_space_options(config, &options));
    if (options.state % 2 != 0)
        return rw_config_fail(config, "state",
                              "%d is odd, but modes are complex and take two real numbers "
                              "each; make it %d",
                              options.state, options.state + 1);
    return rw_state_space_block(graph, &options, x, add, y);
}

const rw_mixer rw_mixer_s4d = {
    .name = "s4d",
    .summary = "diagonal state-space layer (S4D-Lin), by FFT inside a chunk",
    .source = "Gu, Gupta, Goel, Re 2022, On the parameterization and initialization of diagonal "
              "state space models",
    .keys = rw_state_space_keys,
    .build = s4d_build,
};
