/* Softmax attention, multi-head or with grouped queries:
 *
 *   [q | k | v] = in(x)    q, k = rotary(q), rotary(k)    y = out(attention(q, k, v))
 *
 * Exact attention: the cost grows with the square of the length (or with length times window), and
 * generation keeps the keys and values of all tokens, or of the last `window`. */
#include <string.h>

#include "mixers/mixer.h"

extern const rw_mixer rw_mixer_attention;

static rw_attention_way way_of(const char *name)
{
    if (strcmp(name, "heads") == 0) return RW_ATTENTION_BY_HEADS;
    return strcmp(name, "ring") == 0 ? RW_ATTENTION_BY_RING : RW_ATTENTION_AUTO;
}

static rw_status choose(const rw_config *config, int width, rw_attention_options *options,
                        int *head_width)
{
    int heads = (int)rw_config_int(config, "heads"), kv = (int)rw_config_int(config, "kv_heads");
    int columns = (int)rw_config_int(config, "head_width");
    *options = (rw_attention_options){.heads = heads,
                                      .kv_heads = kv ? kv : heads,
                                      .window = (long)rw_config_int(config, "window"),
                                      .exchange = way_of(rw_config_string(config, "exchange")),
                                      .ring_reals = (long)rw_config_int(config, "ring_memory") *
                                                    (1 << 20) / (long)sizeof(real)};
    *head_width = columns ? columns : width / heads;
    if (columns == 0 && width % heads != 0)
        return rw_config_fail(config, "heads",
                              "%d heads do not divide width %d; choose a divisor or head_width",
                              heads, width);
    RW_TRY(rw_mixer_check_columns(config, columns ? "head_width" : "heads", heads,
                                  3 * (int64_t)*head_width));
    if (heads % options->kv_heads != 0)
        return rw_config_fail(config, "kv_heads", "%d does not divide the %d heads of queries", kv,
                              heads);
    if (rw_config_bool(config, "rope") && *head_width % 2 != 0)
        return rw_config_fail(config, "rope",
                              "rotary positions turn pairs of columns, but a head has %d; choose "
                              "an even head_width or rope: false",
                              *head_width);
    return RW_OK;
}

static rw_status attention_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    rw_attention_options options;
    int width;
    RW_TRY(choose(config, x.width, &options, &width));
    const int queries = options.heads * width, keys = options.kv_heads * width;
    const rw_linear_options in = {.name = "in", .width = queries + 2 * keys};
    const rw_linear_options out = {.name = "out", .width = x.width, .output = true};
    rw_value projected, mixed;
    RW_TRY(rw_linear(graph, x, &in, &projected));
    if (rw_config_bool(config, "rope"))
        RW_TRY(rw_rotary(graph, projected, options.heads + options.kv_heads, width,
                         rw_config_real(config, "rope_base"), &projected));
    RW_TRY(rw_softmax_attention(graph, rw_columns(projected, 0, queries),
                                rw_columns(projected, queries, keys),
                                rw_columns(projected, queries + keys, keys), &options, &mixed));
    return rw_linear(graph, mixed, &out, y);
}

static const rw_key keys[] = {
    {.name = "heads",
     .type = RW_KEY_INT,
     .fallback = "4",
     .min = 1,
     .max = 65536,
     .doc = "heads of queries"},
    {.name = "kv_heads",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 65536,
     .doc = "heads of keys and values, each for a group of queries; 0: as many as heads"},
    {.name = "head_width",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 65536,
     .doc = "columns of a head; 0: width / heads"},
    {.name = "window",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 1e9,
     .doc = "tokens that a token attends to, itself included; 0: all earlier tokens"},
    {.name = "rope", .type = RW_KEY_BOOL, .fallback = "true", .doc = "rotary positions"},
    {.name = "rope_base",
     .type = RW_KEY_REAL,
     .fallback = "10000",
     .min = 1,
     .max = 1e12,
     .doc = "the slowest pair turns once in about 6.3 times this many tokens"},
    {.name = "exchange",
     .type = RW_KEY_STRING,
     .fallback = "auto",
     .choices = "auto|heads|ring",
     .neutral = true,
     .doc = "how ranks share a sequence: all-to-all on heads, or a ring; same result"},
    {.name = "ring_memory",
     .type = RW_KEY_INT,
     .fallback = "64",
     .min = 0,
     .max = 1e6,
     .neutral = true,
     .doc = "MB a rank that sums of a ring may take while they wait; less: more, smaller messages"},
    RW_KEYS_END,
};

const rw_mixer rw_mixer_attention = {
    .name = "attention",
    .summary = "causal softmax attention: grouped queries, rotary positions, optional window",
    .source = "Vaswani et al. 2017, Attention is all you need; Su et al. 2021, RoFormer; Dao 2023, "
              "FlashAttention-2; Liu et al. 2023, Ring attention",
    .keys = keys,
    .build = attention_build,
};
