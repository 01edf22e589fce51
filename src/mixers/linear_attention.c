/* Linear attention: a state matrix S per head in place of the softmax's cache.
 *
 *   [q | k | v | g | low] = in(x)    q, k, v = conv(q, k, v)    q, k = phi(q), phi(k)
 *   S_t = diag(a_t) S_{t-1} + k_t v_t^T                         o_t = S_t^T q_t
 *   phi = identity:  out(rms_norm(o) silu(g)), by head; q is scaled by K^(-1/2)
 *   phi > 0:         out(o / sum of the weights), the values having a column of ones
 *
 * The decay a is 1, a constant of the head, or chosen by the data per channel of the
 * key: log a = log sigmoid(decay(low)) / 16, a linear map of rank 16. The recurrence
 * is an op with a tree carry (kernels/linear_attention_chunk.h). */
#include <math.h>
#include <string.h>

#include "kernels/linear_attention_chunk.h"
#include "mixers/mixer.h"

extern const rw_op rw_op_linear_attention;

extern const rw_mixer rw_mixer_linear_attention;

enum { GATE_RANK = 16, TAYLOR_KEY = 8 };

/* ---- The recurrence ----------------------------------------------------------- */

typedef struct {
    int heads, key, value; /* H, K, V */
    rw_decay decay;
    double scale;
} attributes;

enum { IN_Q, IN_K, IN_V, IN_GATE, MAX_INS };

static rw_status linear_attention_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    int keys = attr->heads * attr->key, values = attr->heads * attr->value;
    bool gated = attr->decay == RW_DECAY_CHANNEL;
    if (node->ins != (gated ? MAX_INS : IN_GATE) || node->in_width[IN_Q] != keys ||
        node->in_width[IN_K] != keys || node->in_width[IN_V] != values ||
        (gated && node->in_width[IN_GATE] != keys))
        return rw_fail(RW_USAGE,
                       "linear_attention takes q and k (width %d), v (width %d) and, with decay by "
                       "channel, a gate as wide as k",
                       keys, values);
    *out_width = values;
    return RW_OK;
}

static rw_status linear_attention_sizes(rw_node *node)
{
    const attributes *attr = node->attributes;
    const int keys = attr->heads * attr->key;
    node->size.transition = rw_linear_attention_map(attr->heads, attr->key, attr->decay);
    node->size.state = (size_t)keys * (size_t)attr->value;
    node->size.slices = attr->heads;
    node->size.scratch = rw_linear_attention_scratch(node->setting.chunk, attr->key, attr->value);
    return RW_OK;
}

static rw_linear_attention chunk_of(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    return (rw_linear_attention){
        .rows = call->rows,
        .heads = attr->heads,
        .key = attr->key,
        .value = attr->value,
        .decay = attr->decay,
        .scale = (real)attr->scale,
        .q = call->in[IN_Q],
        .k = call->in[IN_K],
        .v = call->in[IN_V],
        .gate = call->in[IN_GATE],
        .q_ld = call->in_ld[IN_Q],
        .k_ld = call->in_ld[IN_K],
        .v_ld = call->in_ld[IN_V],
        .gate_ld = call->in_ld[IN_GATE],
    };
}

static void linear_attention_summary(const rw_call *call)
{
    rw_linear_attention chunk = chunk_of(call);
    rw_linear_attention_summary(&chunk, call->carry.transition, call->carry.state, call->scratch);
}

static void linear_attention_forward(const rw_call *call)
{
    rw_linear_attention chunk = chunk_of(call);
    rw_linear_attention_forward(&chunk, call->carry.state_in, call->out, call->out_ld,
                                call->scratch);
}

static void linear_attention_adjoint(const rw_call *call)
{
    rw_linear_attention chunk = chunk_of(call);
    rw_linear_attention_adjoint(&chunk, call->back.dout, call->back.dout_ld, call->carry.dstate_in,
                                call->scratch);
}

static rw_linear_attention_target target_of(const rw_call *call, int input)
{
    return (rw_linear_attention_target){call->back.din[input], call->back.din_ld[input],
                                        call->back.din_add[input]};
}

static void linear_attention_backward(const rw_call *call)
{
    rw_linear_attention chunk = chunk_of(call);
    rw_linear_attention_grad grad = {target_of(call, IN_Q), target_of(call, IN_K),
                                     target_of(call, IN_V), target_of(call, IN_GATE)};
    rw_linear_attention_backward(&chunk, call->carry.state_in, call->carry.dstate_out,
                                 call->back.dout, call->back.dout_ld, &grad, call->scratch);
}

static void linear_attention_step(const rw_call *call)
{
    rw_linear_attention chunk = chunk_of(call);
    rw_linear_attention_step(&chunk, call->carry.state, call->out);
}

static void linear_attention_reference(const rw_call *call)
{
    rw_linear_attention chunk = chunk_of(call);
    rw_linear_attention_reference(&chunk, call->out, call->out_ld);
}

/* Diagonal: its own transpose, and the transition already covers all chunks of its range. */
static void linear_attention_advance(const rw_node *node, const real *derived,
                                     const real *transition, int level, bool transpose, int begin,
                                     int end, const real *x, const real *b, real *y)
{
    const attributes *attr = node->attributes;
    (void)derived, (void)level, (void)transpose;
    rw_linear_attention_advance(attr->key, attr->value, attr->decay, transition, begin, end, x, b,
                                y);
}

static void linear_attention_compose(const rw_node *node, const real *left, const real *right,
                                     real *out)
{
    for (size_t i = 0; i < node->size.transition; i++) out[i] = right[i] * left[i];
}

static double linear_attention_flops(const rw_node *node, int rows)
{
    const attributes *attr = node->attributes;
    return rw_linear_attention_flops(rows, attr->heads, attr->key, attr->value, attr->decay);
}

/* Two heads; queries, keys and gates of half the width. */
static rw_status linear_attention_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const int keys = x.width / 2;
    const attributes attr = {
        .heads = 2, .key = keys / 2, .value = x.width / 2, .decay = RW_DECAY_CHANNEL, .scale = 1};
    const rw_linear_options all = {.name = "all", .width = 3 * keys + x.width};
    rw_value projected;
    RW_TRY(rw_linear(graph, x, &all, &projected));
    const rw_value in[MAX_INS] = {
        [IN_Q] = rw_columns(projected, 0, keys),
        [IN_K] = rw_columns(projected, keys, keys),
        [IN_GATE] = rw_columns(projected, 2 * keys, keys),
        [IN_V] = rw_columns(projected, 3 * keys, x.width),
    };
    return rw_graph_apply(graph, &rw_op_linear_attention, &attr, sizeof attr, in, MAX_INS, NULL, 0,
                          y);
}

const rw_op rw_op_linear_attention = {
    .name = "linear_attention",
    .doc = "S' = diag(a) S + k v^T, o = S'^T q, by chunks",
    .source = "Yang et al. 2023, Gated linear attention transformers, section 4",
    .promises = {.keeps_in = 1u << IN_Q | 1u << IN_K | 1u << IN_V | 1u << IN_GATE},
    .shape = linear_attention_shape,
    .sizes = linear_attention_sizes,
    .forward = linear_attention_forward,
    .backward = linear_attention_backward,
    .reference = linear_attention_reference,
    .step = linear_attention_step,
    .tree = &(const rw_tree_carry){.summary = linear_attention_summary,
                                   .adjoint = linear_attention_adjoint,
                                   .advance = linear_attention_advance,
                                   .compose = linear_attention_compose},
    .flops = linear_attention_flops,
    .sample = linear_attention_sample,
};

/* ---- The mixer ------------------------------------------------------------------ */

typedef enum { MAP_IDENTITY, MAP_ELU, MAP_TAYLOR } feature_map;

/* The block as configured. */
typedef struct {
    int heads, key, value, taps; /* key: before the feature map */
    feature_map map;
    rw_decay decay;
} choices;

static rw_decay decay_of(const char *name)
{
    if (strcmp(name, "none") == 0) return RW_DECAY_NONE;
    return strcmp(name, "head") == 0 ? RW_DECAY_HEAD : RW_DECAY_CHANNEL;
}

static feature_map map_of(const char *name)
{
    if (strcmp(name, "identity") == 0) return MAP_IDENTITY;
    return strcmp(name, "elu") == 0 ? MAP_ELU : MAP_TAYLOR;
}

/* Columns of k that the recurrence sees. */
static int mapped_key(const choices *c)
{
    return c->map == MAP_TAYLOR ? 1 + c->key + c->key * (c->key + 1) / 2 : c->key;
}

/* Queries and keys, mapped, values and their gate. */
static rw_status check_columns(const rw_config *config, const choices *c)
{
    return rw_mixer_check_columns(config, "heads", c->heads,
                                  2 * ((int64_t)mapped_key(c) + c->value + 1));
}

static rw_status choose_widths(const rw_config *config, int width, choices *c)
{
    c->key = (int)rw_config_int(config, "key_width");
    c->value = (int)rw_config_int(config, "value_width");
    if (c->value == 0 && width % c->heads != 0)
        return rw_config_fail(config, "heads",
                              "%d heads do not divide width %d; choose a divisor or value_width",
                              c->heads, width);
    if (c->value == 0) c->value = width / c->heads;
    if (c->key == 0) c->key = c->map == MAP_TAYLOR ? TAYLOR_KEY : width / c->heads / 2;
    if (c->key == 0)
        return rw_config_fail(config, "heads",
                              "%d heads leave no key width of width %d; use at most %d heads or "
                              "set key_width",
                              c->heads, width, width / 2);
    if (mapped_key(c) > RW_LINEAR_ATTENTION_MAX_KEY)
        return rw_config_fail(config, "key_width",
                              "%d columns a head become %d features, more than %d; use fewer",
                              c->key, mapped_key(c), RW_LINEAR_ATTENTION_MAX_KEY);
    return check_columns(config, c);
}

static rw_status choose(const rw_config *config, int width, choices *c)
{
    const char *map = rw_config_string(config, "feature_map");
    *c = (choices){.heads = (int)rw_config_int(config, "heads"),
                   .taps = (int)rw_config_int(config, "conv"),
                   .map = map_of(map),
                   .decay = decay_of(rw_config_string(config, "decay"))};
    if (c->map != MAP_IDENTITY && c->decay == RW_DECAY_CHANNEL)
        return rw_config_fail(config, "decay",
                              "feature_map %s is normalised by the sum of its weights, which "
                              "decay by channel does not keep; set decay: none or decay: head",
                              map);
    if (c->taps == 1)
        return rw_config_fail(config, "conv",
                              "a convolution of 1 tap sees no other token; use 0 for none, or "
                              "at least 2");
    return choose_widths(config, width, c);
}

/* Biases of the decay, uniform in [low, high]: a channel remembers 16 / log(1 + e^-b)
 * tokens, 23 at 0 and 6500 at 6. */
static void init_decay_bias(const rw_param *param, rw_random stream, real *out)
{
    const double low = 0, high = 6;
    for (long i = 0; i < param->rows * param->cols; i++)
        out[i] = (real)(low + (high - low) * rw_random_uniform(stream, (uint64_t)i));
}

static rw_status add_features(rw_graph *graph, const choices *c, rw_value x, rw_value *y)
{
    *y = x;
    if (c->map == MAP_ELU) return rw_elu_plus_one(graph, x, y);
    if (c->map == MAP_TAYLOR) return rw_taylor_features(graph, x, c->heads, y);
    return RW_OK;
}

/* The recurrence on qkv = [q | k | v]; `low` goes into the decay by channel. */
static rw_status add_recurrence(rw_graph *graph, const choices *c, rw_value qkv, rw_value low,
                                rw_value *y)
{
    int keys = c->heads * c->key, ins = IN_GATE;
    bool normalised = c->map != MAP_IDENTITY;
    rw_linear_options decay = {
        .name = "decay", .width = keys, .bias = true, .bias_init = init_decay_bias, .narrow = true};
    attributes attr = {.heads = c->heads,
                       .key = mapped_key(c),
                       .value = c->value + normalised,
                       .decay = c->decay,
                       .scale = normalised ? 1 : 1 / sqrt(c->key)};
    rw_value in[MAX_INS];
    RW_TRY(add_features(graph, c, rw_columns(qkv, 0, keys), &in[IN_Q]));
    RW_TRY(add_features(graph, c, rw_columns(qkv, keys, keys), &in[IN_K]));
    in[IN_V] = rw_columns(qkv, 2 * keys, c->heads * c->value);
    if (normalised) RW_TRY(rw_append_ones(graph, in[IN_V], c->heads, &in[IN_V]));
    if (c->decay == RW_DECAY_CHANNEL) RW_TRY(rw_linear(graph, low, &decay, &in[ins++]));
    return rw_graph_apply(graph, &rw_op_linear_attention, &attr, sizeof attr, in, ins, NULL, 0, y);
}

static rw_status linear_attention_build(rw_graph *graph, const rw_config *config, rw_value x,
                                        rw_value *y)
{
    choices c;
    RW_TRY(choose(config, x.width, &c));
    int values = c.heads * c.value, mixed = 2 * c.heads * c.key + values;
    int gate = c.map == MAP_IDENTITY ? values : 0;
    int rank = c.decay == RW_DECAY_CHANNEL ? GATE_RANK : 0;
    rw_linear_options in = {.name = "in", .width = mixed + gate + rank};
    rw_linear_options out = {.name = "out", .width = x.width, .output = true};
    rw_value projected, qkv, recurrent, normed;
    RW_TRY(rw_linear(graph, x, &in, &projected));
    qkv = rw_columns(projected, 0, mixed);
    /* The other feature maps want keys of both signs: no silu. */
    if (c.taps > 0) RW_TRY(rw_short_conv(graph, qkv, "conv", c.taps, c.map == MAP_IDENTITY, &qkv));
    RW_TRY(add_recurrence(graph, &c, qkv, rw_columns(projected, mixed + gate, rank), &recurrent));
    RW_TRY(gate ? rw_gated_head_norm(graph, recurrent, rw_columns(projected, mixed, gate), c.heads,
                                     "norm", &normed)
                : rw_divide_by_last(graph, recurrent, c.heads, &normed));
    return rw_linear(graph, normed, &out, y);
}

static const rw_key keys[] = {
    {.name = "heads",
     .type = RW_KEY_INT,
     .fallback = "4",
     .min = 1,
     .max = 65536,
     .doc = "heads, each with a state of its own"},
    {.name = "key_width",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = RW_LINEAR_ATTENTION_MAX_KEY,
     .doc = "columns of q and k a head; 0: width / heads / 2, or 8 with feature_map taylor"},
    {.name = "value_width",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 65536,
     .doc = "columns of v a head; 0: width / heads"},
    {.name = "decay",
     .type = RW_KEY_STRING,
     .fallback = "channel",
     .choices = "none|head|channel",
     .doc = "forgetting: none, a constant of the head, or by the data for each key channel"},
    {.name = "feature_map",
     .type = RW_KEY_STRING,
     .fallback = "identity",
     .choices = "identity|elu|taylor",
     .doc = "of q and k; elu and taylor are normalised and want decay none or head"},
    {.name = "conv",
     .type = RW_KEY_INT,
     .fallback = "4",
     .min = 0,
     .max = 64,
     .doc = "taps of the short convolution of q, k and v, in tokens; 0: none"},
    RW_KEYS_END,
};

const rw_mixer rw_mixer_linear_attention = {
    .name = "linear_attention",
    .summary = "linear attention by chunked scan: gated, with fixed decay, or with feature maps",
    .source = "Yang et al. 2023, Gated linear attention transformers; Katharopoulos et al. 2020; "
              "Arora et al. 2024, Based",
    .keys = keys,
    .build = linear_attention_build,
};
