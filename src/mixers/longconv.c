/* Hyena of order 2: a long convolution, whose filter is not a recurrence but any
 * function of the lag, between two gates.
 *
 *   [v | x1 | x2] = conv(in(x))             conv: a short convolution
 *   y = out(x2 * (h conv (x1 * v)))
 *   h_t = W s(B s(A e(t))) window(t) + bias [t = 0]     s(x) = sin(w x)
 *
 * e(t): features of the lag. The filter is a value of the graph whose rows are
 * lags, computed and differentiated chunk by chunk like any other. */
#include <math.h>
#include <string.h>

#include "mixers/mixer.h"

extern const rw_mixer rw_mixer_longconv;

static rw_status sine_layer(rw_graph *graph, rw_value x, const char *name, const char *sine,
                            const rw_config *config, rw_value *y)
{
    const rw_linear_options linear = {.name = name,
                                      .width = (int)rw_config_int(config, "filter_width"),
                                      .bias = true,
                                      .narrow = true};
    rw_value wide;
    RW_TRY(rw_linear(graph, x, &linear, &wide));
    return rw_sine(graph, wide, sine, rw_config_real(config, "frequency"), y);
}

/* The filter has about unit energy: 1 / (2 alpha) of its length has weight. */
static double filter_gain(const rw_decay_window_options *window)
{
    return 2 * sqrt(sqrt(window->slow * window->fast) / (double)window->length);
}

static rw_status build_filter(rw_graph *graph, const rw_config *config, int width, rw_value *h)
{
    const rw_decay_window_options window = {
        .name = "filter",
        .length = rw_config_int(config, "filter_length"),
        .slow = rw_config_real(config, "slow"),
        .fast = rw_config_real(config, "fast"),
        .shift = rw_config_real(config, "shift"),
    };
    const rw_linear_options last = {
        .name = "filter_out", .width = width, .gain = filter_gain(&window), .narrow = true};
    rw_value features, first, second, raw;
    if (window.fast < window.slow)
        return rw_config_fail(config, "fast", "the fast decay, %g, is below the slow one, %g",
                              window.fast, window.slow);
    RW_TRY(rw_positions(graph, window.length, (int)rw_config_int(config, "bands"), &features));
    RW_TRY(sine_layer(graph, features, "filter_in", "filter_sine", config, &first));
    RW_TRY(sine_layer(graph, first, "filter_mid", "filter_mid_sine", config, &second));
    RW_TRY(rw_linear(graph, second, &last, &raw));
    return rw_decay_window(graph, raw, &window, h);
}

static rw_convolve_exchange exchange_of(const rw_config *config)
{
    const char *name = rw_config_string(config, "exchange");
    if (strcmp(name, "channels") == 0) return RW_CONVOLVE_CHANNELS;
    return strcmp(name, "fft") == 0 ? RW_CONVOLVE_FFT : RW_CONVOLVE_AUTO;
}

static rw_status longconv_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    const int width = x.width;
    const rw_linear_options in = {.name = "in", .width = 3 * width};
    const rw_linear_options out = {.name = "out", .width = width, .output = true};
    rw_value projected, mixed, filter, gated, convolved, seen;
    RW_TRY(rw_linear(graph, x, &in, &projected));
    RW_TRY(
        rw_short_conv(graph, projected, "conv", (int)rw_config_int(config, "conv"), false, &mixed));
    RW_TRY(build_filter(graph, config, width, &filter));
    RW_TRY(rw_hyena_gate(graph, mixed, filter, &gated));
    RW_TRY(rw_long_convolution(graph, rw_columns(gated, 0, width),
                               rw_columns(gated, 2 * width, width), exchange_of(config),
                               &convolved));
    RW_TRY(rw_product(graph, rw_columns(gated, width, width), convolved, &seen));
    return rw_linear(graph, seen, &out, y);
}

static const rw_key keys[] = {
    {.name = "filter_length",
     .type = RW_KEY_INT,
     .fallback = "1024",
     .min = 1,
     .max = 1e12,
     .doc = "lags that the filter's features and decay are scaled to, in tokens; later lags have "
            "a filter too"},
    {.name = "filter_width",
     .type = RW_KEY_INT,
     .fallback = "64",
     .min = 1,
     .max = 65536,
     .doc = "width of the filter network"},
    {.name = "bands",
     .type = RW_KEY_INT,
     .fallback = "16",
     .min = 1,
     .max = 32767,
     .doc = "frequencies of the lag's features, up to bands - 1 cycles over filter_length"},
    {.name = "frequency",
     .type = RW_KEY_REAL,
     .fallback = "1.0",
     .min = 0.001,
     .max = 1000,
     .neutral = true,
     .doc = "initial w of sin(w x) in the filter network"},
    {.name = "slow",
     .type = RW_KEY_REAL,
     .fallback = "3.0",
     .min = 1e-6,
     .max = 1e6,
     .doc = "decay of the first channel's filter over filter_length, log"},
    {.name = "fast",
     .type = RW_KEY_REAL,
     .fallback = "15.0",
     .min = 1e-6,
     .max = 1e6,
     .doc = "decay of the last channel's; those between are spread geometrically"},
    {.name = "shift",
     .type = RW_KEY_REAL,
     .fallback = "0.0",
     .min = 0,
     .max = 1,
     .doc = "final value of the window"},
    {.name = "conv",
     .type = RW_KEY_INT,
     .fallback = "3",
     .min = 2,
     .max = 64,
     .doc = "taps of the short convolution, in tokens"},
    {.name = "exchange",
     .type = RW_KEY_STRING,
     .fallback = "auto",
     .choices = "auto|channels|fft",
     .neutral = true,
     .doc = "between ranks that share a sequence: rows for channels, or a shared transform (2, 4, "
            "8, 16 ranks, length a power of two; rows for channels where documents are packed); "
            "same bits"},
    RW_KEYS_END,
};

const rw_mixer rw_mixer_longconv = {
    .name = "longconv",
    .summary = "Hyena: free-form implicit filter as long as the sequence, between two gates",
    .source = "Poli et al. 2023, Hyena Hierarchy: towards larger convolutional language models",
    .keys = keys,
    .build = longconv_build,
};
