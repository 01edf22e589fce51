/* Half a cosine from the peak to `final` of it (Loshchilov and Hutter 2017,
 * "SGDR: stochastic gradient descent with warm restarts", equation 5). */
#include <math.h>

#include "optim/schedule.h"

static const rw_key keys[] = {
    {.name = "final",
     .type = RW_KEY_REAL,
     .fallback = "0.1",
     .min = 0,
     .max = 1,
     .doc = "learning rate at the end, as a fraction of the peak"},
    RW_KEYS_END,
};

static double cosine_factor(const rw_config *config, double progress)
{
    const double final = rw_config_real(config, "final");
    return final + (1 - final) * 0.5 * (1 + cos(M_PI * progress));
}

const rw_schedule rw_schedule_cosine = {
    .name = "cosine",
    .summary = "half a cosine from the peak down to a fraction of it",
    .keys = keys,
    .factor = cosine_factor,
};
