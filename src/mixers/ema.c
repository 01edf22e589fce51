/* The gated moving average: the damped average of src/ops/recurrence/damped_ema.c, which
 * also feeds attention elsewhere, as a mixer of its own. With D the width:
 *
 *   [u | z] = in(x),   y = out(silu(ema(u)) * silu(z))   in: D -> 2 D, out: D -> D */
#include "mixers/mixer.h"

static rw_status ema_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    const rw_linear_options in = {.name = "in", .width = 2 * x.width};
    const rw_linear_options out = {.name = "out", .width = x.width, .output = true};
    const int averages = (int)rw_config_int(config, "averages");
    rw_value both, average, active, gate, gated;
    RW_TRY(rw_linear(graph, x, &in, &both));
    RW_TRY(rw_damped_ema(graph, rw_columns(both, 0, x.width), averages, &average));
    RW_TRY(rw_silu(graph, average, &active));
    RW_TRY(rw_silu(graph, rw_columns(both, x.width, x.width), &gate));
    RW_TRY(rw_product(graph, active, gate, &gated));
    return rw_linear(graph, gated, &out, y);
}

static const rw_key keys[] = {
    {.name = "averages",
     .type = RW_KEY_INT,
     .fallback = "16",
     .min = 1,
     .max = 512,
     .doc = "moving averages of a channel, each with its own decay"},
    RW_KEYS_END,
};

const rw_mixer rw_mixer_ema = {
    .name = "ema",
    .summary = "gated damped moving averages of each channel, learned decays (MEGA)",
    .source = "Ma et al. 2022, Mega: moving average equipped gated attention, equations 4 to 6",
    .keys = keys,
    .build = ema_build,
};
