/* The delay line (Gu et al. 2020, "HiPPO", and Voelker et al. 2019, "Legendre memory units"): the
 * input u is band-limited white noise, the target is u of `lag` tokens earlier. With frequencies
 * f_k uniform in (0, band) cycles a token and phases p_k uniform, u(t) = sqrt(2 / K) sum_k cos(2 pi
 * (f_k t + p_k)), with mean 0 and variance 1, close to Gaussian for K sinusoids. */
#include <math.h>

#include "base/memory.h"
#include "data_pipeline/task.h"

enum { DRAW_FREQUENCIES, DRAW_PHASES };

static const rw_key keys[] = {
    {.name = "lag",
     .type = RW_KEY_INT,
     .fallback = "64",
     .min = 0,
     .max = 1e12,
     .doc = "tokens between a value and the query for the value"},
    {.name = "band",
     .type = RW_KEY_REAL,
     .fallback = "0.05",
     .min = 1e-9,
     .max = 0.5,
     .doc = "highest frequency, as a fraction of the sampling rate"},
    {.name = "sinusoids",
     .type = RW_KEY_INT,
     .fallback = "64",
     .min = 1,
     .max = 1 << 20,
     .doc = "sinusoids in the sum"},
    RW_KEYS_END,
};

typedef struct {
    long lag, sinusoids;
    double band;
} delay;

static rw_status setup(const rw_config *config, long length, void **state, rw_format *format)
{
    long lag = (long)rw_config_int(config, "lag");
    if (lag >= length)
        return rw_config_fail(config, "lag",
                              "a lag of %ld leaves no targets in a data.length of "
                              "%ld; use a smaller lag or longer sequences",
                              lag, length);
    delay *d;
    RW_TRY(rw_alloc(1, sizeof *d, "the task delay", &d));
    d->lag = lag;
    d->sinusoids = (long)rw_config_int(config, "sinusoids");
    d->band = rw_config_real(config, "band");
    *state = d;
    *format = (rw_format){.features = 1, .target_features = 1};
    return RW_OK;
}

/* Adds amplitude * cos(phase + t angle), turning a unit vector by `angle` from
 * token to token: its length drifts by less than 1e-15 a token. */
static void add_sinusoid(double amplitude, double phase, double angle, long length, real *signal)
{
    double c = amplitude * cos(phase), s = amplitude * sin(phase);
    const double turn_c = cos(angle), turn_s = sin(angle);
    for (long t = 0; t < length; t++) {
        signal[t] += (real)c;
        double turned = c * turn_c - s * turn_s;
        s = c * turn_s + s * turn_c;
        c = turned;
    }
}

static void generate(const void *state, rw_random stream, uint64_t index, long length,
                     rw_sequence *out)
{
    const delay *d = state;
    rw_random frequencies = rw_task_draws(stream, index, DRAW_FREQUENCIES);
    rw_random phases = rw_task_draws(stream, index, DRAW_PHASES);
    double amplitude = sqrt(2.0 / (double)d->sinusoids);
    for (long t = 0; t < length; t++) out->features[t] = 0;
    for (long k = 0; k < d->sinusoids; k++)
        add_sinusoid(amplitude, 2 * M_PI * rw_random_uniform(phases, (uint64_t)k),
                     2 * M_PI * d->band * rw_random_uniform(frequencies, (uint64_t)k), length,
                     out->features);
    for (long t = 0; t < length; t++)
        out->target_features[t] = t < d->lag ? (real)NAN : out->features[t - d->lag];
}

const rw_task rw_task_delay = {
    .name = "delay",
    .summary = "band-limited noise, given back after a lag (real values)",
    .keys = keys,
    .setup = setup,
    .generate = generate,
};
