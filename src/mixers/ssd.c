/* Mamba-2: a gated block around the state-space dual (SSD) recurrence.
 *
 *   [z | xBC | dt] = in(u)      [x | B | C] = silu(conv(xBC))
 *   y = ssd(x, B, C, dt)        out(rms_norm(y * silu(z)))
 *
 * The recurrence is an op with a tree carry: per head a scalar decay times the
 * state (N, P), plus what the chunk adds (kernels/ssd_chunk.h). */
#include <math.h>

#include "kernels/ssd_chunk.h"
#include "mixers/mixer.h"

extern const rw_op rw_op_ssd;

extern const rw_mixer rw_mixer_ssd;

typedef struct {
    int heads, head_width, state; /* H, P, N */
} attributes;

enum { PARAM_DT_BIAS, PARAM_A_LOG, PARAM_D, PARAMS };

static rw_status ssd_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    int width = attr->heads * attr->head_width;
    if (node->ins != 2 || node->in_width[0] != width + 2 * attr->state ||
        node->in_width[1] != attr->heads || node->params != PARAMS)
        return rw_fail(RW_USAGE, "ssd takes x, B, C (width %d) and dt (width %d) and %d parameters",
                       width + 2 * attr->state, attr->heads, PARAMS);
    *out_width = width;
    return RW_OK;
}

static rw_status ssd_sizes(rw_node *node)
{
    const attributes *attr = node->attributes;
    node->size.transition = (size_t)attr->heads;
    node->size.state = (size_t)attr->state * (size_t)node->out_width;
    node->size.slices = attr->heads;
    node->size.scratch =
        rw_ssd_scratch_reals(node->setting.chunk, attr->heads, attr->head_width, attr->state);
    return RW_OK;
}

/* Columns of the first input: x (H P) | B (N) | C (N). */
static rw_ssd_chunk chunk_of(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    int width = attr->heads * attr->head_width;
    return (rw_ssd_chunk){
        .rows = call->rows,
        .heads = attr->heads,
        .head_width = attr->head_width,
        .state = attr->state,
        .x = call->in[0],
        .b = call->in[0] + width,
        .c = call->in[0] + width + attr->state,
        .ld = call->in_ld[0],
        .raw = call->in[1],
        .raw_ld = call->in_ld[1],
        .dt_bias = call->param[PARAM_DT_BIAS],
        .a_log = call->param[PARAM_A_LOG],
        .skip = call->param[PARAM_D],
    };
}

static void ssd_summary(const rw_call *call)
{
    rw_ssd_chunk chunk = chunk_of(call);
    rw_ssd_summary(&chunk, call->carry.transition, call->carry.state, call->scratch);
}

static void ssd_forward(const rw_call *call)
{
    rw_ssd_chunk chunk = chunk_of(call);
    rw_ssd_forward(&chunk, call->carry.state_in, call->out, call->out_ld, call->scratch);
}

static void ssd_adjoint(const rw_call *call)
{
    rw_ssd_chunk chunk = chunk_of(call);
    rw_ssd_adjoint(&chunk, call->back.dout, call->back.dout_ld, call->carry.dstate_in,
                   call->scratch);
}

static void ssd_backward(const rw_call *call)
{
    rw_ssd_chunk chunk = chunk_of(call);
    rw_ssd_grad grad = {
        .ld = call->back.din_ld[0],
        .add = call->back.din_add[0],
        .raw = call->back.din[1],
        .raw_ld = call->back.din_ld[1],
        .raw_add = call->back.din_add[1],
        .dt_bias = call->back.dparam[PARAM_DT_BIAS],
        .a_log = call->back.dparam[PARAM_A_LOG],
        .skip = call->back.dparam[PARAM_D],
    };
    if (call->back.din[0]) {
        grad.x = call->back.din[0];
        grad.b = grad.x + chunk.heads * chunk.head_width;
        grad.c = grad.b + chunk.state;
    }
    rw_ssd_backward(&chunk, call->carry.state_in, call->carry.dstate_out, call->back.dout,
                    call->back.dout_ld, &grad, call->scratch);
}

static void ssd_step(const rw_call *call)
{
    rw_ssd_chunk chunk = chunk_of(call);
    rw_ssd_step(&chunk, call->carry.state, call->out);
}

static void ssd_reference(const rw_call *call)
{
    rw_ssd_chunk chunk = chunk_of(call);
    rw_ssd_reference(&chunk, call->out, call->out_ld);
}

/* A scalar a head: its own transpose; the transition already covers all chunks of its range. */
static void ssd_advance(const rw_node *node, const real *derived, const real *transition, int level,
                        bool transpose, int begin, int end, const real *x, const real *b, real *y)
{
    const attributes *attr = node->attributes;
    size_t head_width = (size_t)attr->head_width, width = head_width * (size_t)attr->heads;
    (void)derived, (void)level, (void)transpose;
    for (int n = 0; n < attr->state; n++)
        for (int head = begin; head < end; head++) {
            size_t first = (size_t)n * width + (size_t)head * head_width;
            for (size_t i = first; i < first + head_width; i++)
                y[i] = x ? b[i] + transition[head] * x[i] : b[i];
        }
}

static void ssd_compose(const rw_node *node, const real *left, const real *right, real *out)
{
    const attributes *attr = node->attributes;
    for (int head = 0; head < attr->heads; head++) out[head] = right[head] * left[head];
}

static double ssd_flops(const rw_node *node, int rows)
{
    const attributes *attr = node->attributes;
    return rw_ssd_flops(rows, attr->heads, attr->head_width, attr->state);
}

static rw_status ssd_sample(rw_graph *graph, rw_value x, rw_value *y);

const rw_op rw_op_ssd = {
    .name = "ssd",
    .doc = "state-space dual recurrence of Mamba-2, by chunks",
    .source = "Dao and Gu 2024, Transformers are SSMs, section 6",
    .promises = {.keeps_in = 3, .in_place = 1u << 1},
    .shape = ssd_shape,
    .sizes = ssd_sizes,
    .forward = ssd_forward,
    .backward = ssd_backward,
    .reference = ssd_reference,
    .step = ssd_step,
    .tree = &(const rw_tree_carry){.summary = ssd_summary,
                                   .adjoint = ssd_adjoint,
                                   .advance = ssd_advance,
                                   .compose = ssd_compose},
    .flops = ssd_flops,
    .sample = ssd_sample,
};

/* dt_bias such that softplus(dt_bias) is log-uniform in [low, high]. */
static void init_dt_bias(const rw_param *param, rw_random stream, real *out)
{
    for (long i = 0; i < param->rows * param->cols; i++) {
        double u = rw_random_uniform(stream, (uint64_t)i);
        double dt = param->low * pow(param->high / param->low, u);
        out[i] = (real)(dt + log(-expm1(-dt)));
    }
}

/* log of uniform in [low, high]. */
static void init_a_log(const rw_param *param, rw_random stream, real *out)
{
    for (long i = 0; i < param->rows * param->cols; i++) {
        double u = rw_random_uniform(stream, (uint64_t)i);
        out[i] = (real)log(param->low + u * (param->high - param->low));
    }
}

/* The recurrence on xbc = [x | B | C] and the raw step sizes dt, with its parameters. */
static rw_status add_recurrence(rw_graph *graph, const attributes *attr, rw_value xbc, rw_value dt,
                                rw_value *y)
{
    const rw_param params[PARAMS] = {
        [PARAM_DT_BIAS] = {.name = "dt_bias", .init = init_dt_bias, .low = 1e-3, .high = 1e-1},
        [PARAM_A_LOG] = {.name = "A_log", .init = init_a_log, .low = 1, .high = 16},
        [PARAM_D] = {.name = "D", .init = rw_init_constant, .scale = 1},
    };
    int index[PARAMS];
    for (int i = 0; i < PARAMS; i++) {
        rw_param param = params[i];
        param.rows = 1;
        param.cols = attr->heads;
        param.group = RW_GROUP_STATE;
        RW_TRY(rw_graph_param(graph, &param, &index[i]));
    }
    rw_value in[] = {xbc, dt};
    return rw_graph_apply(graph, &rw_op_ssd, attr, sizeof *attr, in, 2, index, PARAMS, y);
}

/* x is [x | B | C]: two heads and their state take a quarter of the columns each. */
static rw_status ssd_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const attributes attr = {.heads = 2, .head_width = x.width / 4, .state = x.width / 4};
    rw_value dt;
    RW_TRY(rw_linear(graph, x, &(rw_linear_options){.name = "dt", .width = attr.heads}, &dt));
    return add_recurrence(graph, &attr, x, dt, y);
}

static rw_status ssd_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    int state = (int)rw_config_int(config, "state"), heads = (int)rw_config_int(config, "heads");
    int inner = (int)rw_config_int(config, "expand") * x.width, mixed = inner + 2 * state;
    if (inner % heads != 0)
        return rw_config_fail(config, "heads",
                              "%d heads do not divide expand times width, %d; choose a divisor",
                              heads, inner);
    attributes attr = {.heads = heads, .head_width = inner / heads, .state = state};
    rw_linear_options in = {.name = "in", .width = inner + mixed + heads};
    rw_linear_options out = {.name = "out", .width = x.width, .output = true, .by_depth = true};
    rw_value projected, convolved, recurrent, normed;
    RW_TRY(rw_linear(graph, x, &in, &projected));
    RW_TRY(rw_short_conv(graph, rw_columns(projected, inner, mixed), "conv",
                         (int)rw_config_int(config, "conv"), true, &convolved));
    RW_TRY(add_recurrence(graph, &attr, convolved, rw_columns(projected, inner + mixed, heads),
                          &recurrent));
    RW_TRY(rw_gated_rms_norm(graph, recurrent, rw_columns(projected, 0, inner), "norm", &normed));
    return rw_linear(graph, normed, &out, y);
}

static const rw_key keys[] = {
    {.name = "state",
     .type = RW_KEY_INT,
     .fallback = "64",
     .min = 1,
     .max = RW_SSD_MAX_STATE,
     .doc = "state size of a channel, N"},
    {.name = "heads",
     .type = RW_KEY_INT,
     .fallback = "8",
     .min = 1,
     .max = 65536,
     .doc = "heads; they share B and C, each has its own decay"},
    {.name = "expand",
     .type = RW_KEY_INT,
     .fallback = "2",
     .min = 1,
     .max = 64,
     .doc = "inner width over model width"},
    {.name = "conv",
     .type = RW_KEY_INT,
     .fallback = "4",
     .min = 2,
     .max = 64,
     .doc = "taps of the short convolution, in tokens"},
    RW_KEYS_END,
};

const rw_mixer rw_mixer_ssd = {
    .name = "ssd",
    .summary = "Mamba-2: selective state space by chunked scan, decay chosen by the data",
    .source = "Dao and Gu 2024, Transformers are SSMs",
    .keys = keys,
    .build = ssd_build,
};
