/* The dilated causal convolution. A token reads the K tokens 0, d, ... (K-1) d before, within its
 * document. With D the width:
 *
 *   gated    [u | z] = in(x),   y = out(act(conv(u)) * silu(z))    in: D -> 2 D
 *   plain    y = out(act(conv(x)))
 *
 * conv is depthwise (a weight a tap and channel) or dense (a matrix a tap, as in
 * a temporal convolution network); out: D -> D. */
#include <string.h>

#include "mixers/mixer.h"

static rw_status convolve(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    const rw_linear_options dense = {.name = "conv", .width = x.width, .bias = true};
    const int taps = (int)rw_config_int(config, "taps");
    rw_value seen;
    RW_TRY(rw_delays(graph, x, taps, rw_config_int(config, "dilation"), &seen));
    return rw_config_bool(config, "depthwise") ? rw_tap_sum(graph, seen, "conv", taps, y)
                                               : rw_linear(graph, seen, &dense, y);
}

static rw_status activate(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    const char *name = rw_config_string(config, "activation");
    if (strcmp(name, "gelu") == 0) return rw_gelu(graph, x, y);
    if (strcmp(name, "silu") == 0) return rw_silu(graph, x, y);
    *y = x;
    return RW_OK;
}

static rw_status conv_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    const rw_linear_options in = {.name = "in", .width = 2 * x.width, .gain = RW_GAIN_UNIFORM};
    const rw_linear_options out = {.name = "out",
                                   .width = x.width,
                                   .bias = true,
                                   .gain = RW_GAIN_UNIFORM,
                                   .output = true,
                                   .by_depth = true};
    const bool gated = rw_config_bool(config, "gate");
    rw_value both = x, mixed, active, gate;
    if (gated) RW_TRY(rw_linear(graph, x, &in, &both));
    RW_TRY(convolve(graph, config, rw_columns(both, 0, x.width), &mixed));
    RW_TRY(activate(graph, config, mixed, &active));
    if (gated) {
        RW_TRY(rw_silu(graph, rw_columns(both, x.width, x.width), &gate));
        RW_TRY(rw_product(graph, active, gate, &active));
    }
    return rw_linear(graph, active, &out, y);
}

static const rw_key keys[] = {
    {.name = "taps",
     .type = RW_KEY_INT,
     .fallback = "3",
     .min = 2,
     .max = 1024,
     .doc = "tokens that a row attends to, itself included"},
    {.name = "dilation",
     .type = RW_KEY_INT,
     .fallback = "1",
     .min = 1,
     .max = 1 << 24,
     .doc = "tokens from one tap to the next; taps may lie any number of chunks back"},
    {.name = "depthwise",
     .type = RW_KEY_BOOL,
     .fallback = "true",
     .doc = "a weight a tap and channel; false: a matrix a tap"},
    {.name = "activation",
     .type = RW_KEY_STRING,
     .fallback = "silu",
     .choices = "silu|gelu|none",
     .doc = "after the convolution"},
    {.name = "gate",
     .type = RW_KEY_BOOL,
     .fallback = "true",
     .doc = "multiply with silu of a projection of the input"},
    RW_KEYS_END,
};

const rw_mixer rw_mixer_conv = {
    .name = "conv",
    .summary = "dilated causal convolution, depthwise or dense, gated",
    .source = "Bai, Kolter, Koltun 2018, An empirical evaluation of generic convolutional and "
              "recurrent networks for sequence modeling; gate: Dauphin et al. 2017, Language "
              "modeling with gated convolutional networks",
    .keys = keys,
    .build = conv_build,
};
