/* Warmup-stable-decay: the peak rate, then a short decay at the end (Hu et al.
 * 2024, "MiniCPM"; Haegele et al. 2024, "Scaling laws and compute-optimal
 * training beyond fixed training durations", equation 1 and the 1-sqrt form).
 * One long run serves several lengths: each branches off with its own decay. */
#include <math.h>
#include <string.h>

#include "optim/schedule.h"

static const rw_key keys[] = {
    {.name = "decay",
     .type = RW_KEY_REAL,
     .fallback = "0.2",
     .min = 0,
     .max = 1,
     .doc = "fraction of the steps after warm-up over which the rate decays at the end"},
    {.name = "shape",
     .type = RW_KEY_STRING,
     .fallback = "sqrt",
     .choices = "sqrt|linear",
     .doc = "the decay: 1 - sqrt(x), or linear"},
    {.name = "final",
     .type = RW_KEY_REAL,
     .fallback = "0",
     .min = 0,
     .max = 1,
     .doc = "learning rate at the end, as a fraction of the peak"},
    RW_KEYS_END,
};

static double wsd_factor(const rw_config *config, double progress)
{
    const double decay = rw_config_real(config, "decay");
    const double final = rw_config_real(config, "final");
    const double into = progress - (1 - decay);
    if (into <= 0) return 1;
    const double part = fmin(1, into / decay);
    const bool linear = strcmp(rw_config_string(config, "shape"), "linear") == 0;
    return 1 - (1 - final) * (linear ? part : sqrt(part));
}

const rw_schedule rw_schedule_wsd = {
    .name = "wsd",
    .summary = "the peak learning rate, then a short decay at the end",
    .keys = keys,
    .factor = wsd_factor,
};
