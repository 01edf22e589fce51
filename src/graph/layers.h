/* Builders for mixers and models: a call adds an op with its parameters to a graph. */
#ifndef RW_LAYERS_H
#define RW_LAYERS_H

#include <math.h>

#include "graph/graph.h"

/* y = x W^T (+ bias): W `name`.weight (width, x.width), normal with deviation
 * gain / sqrt(x.width); `name`.bias starts at zero. */
typedef struct {
    const char *name;
    int width;
    double gain;   /* 0 means 1 */
    bool output;   /* y is the output of a block (rw_growth) */
    bool by_depth; /* and is made smaller where the model has many blocks */
    bool narrow;   /* x has as many columns whatever the width of the model */
    bool bias;
    void (*bias_init)(const rw_param *param, rw_random stream, real *out); /* NULL: zero */
} rw_linear_options;
#define RW_GAIN_UNIFORM (1 / sqrt(3)) /* deviation of uniform weights of +-1 / sqrt(x.width) */
rw_status rw_linear(rw_graph *graph, rw_value x, const rw_linear_options *options, rw_value *y);

/* Tokens of the data -> rows of `name`.weight (vocab, width); *table is the index of the parameter.
 */
rw_status rw_embedding(rw_graph *graph, const char *name, int vocab, int width, int *table,
                       rw_value *y);
/* Real features of the data, as a value (tokens, features). */
rw_status rw_features(rw_graph *graph, int features, rw_value *y);

/* y = x / rms(x) * weight, over all columns; `name`.weight starts at one. */
rw_status rw_rms_norm(rw_graph *graph, rw_value x, const char *name, rw_value *y);
/* The same of x * silu(gate) (Mamba-2's gated norm). */
rw_status rw_gated_rms_norm(rw_graph *graph, rw_value x, rw_value gate, const char *name,
                            rw_value *y);
/* x / rms(x) * weight of each of `heads` equal groups of columns, times silu(gate). */
rw_status rw_gated_head_norm(rw_graph *graph, rw_value x, rw_value gate, int heads,
                             const char *name, rw_value *y);
rw_status rw_layer_norm(rw_graph *graph, rw_value x, const char *name, rw_value *y);

/* Causal depthwise convolution over `taps` tokens with bias, then SiLU if asked. Weights start with
 * the deviation of uniform ones of +-1 / sqrt(taps). */
rw_status rw_short_conv(rw_graph *graph, rw_value x, const char *name, int taps, bool silu,
                        rw_value *y);

/* Dilated causal convolutions of any reach. y (tokens, taps * x.width): x beside its rows from
 * `dilation`, 2 `dilation`, ... tokens before. A rw_linear follows, or the depthwise sum:
 * `name`.weight (taps, y.width) and `name`.bias. */
rw_status rw_delays(rw_graph *graph, rw_value x, int taps, long dilation, rw_value *y);
rw_status rw_tap_sum(rw_graph *graph, rw_value x, const char *name, int taps, rw_value *y);

/* For each channel the sum of `averages` damped moving averages with learned decays, plus x: the
 * moving average of MEGA, whose names the parameters have (alpha, delta, beta, gamma, omega). */
rw_status rw_damped_ema(rw_graph *graph, rw_value x, int averages, rw_value *y);

rw_status rw_silu(rw_graph *graph, rw_value x, rw_value *y);
rw_status rw_gelu(rw_graph *graph, rw_value x, rw_value *y);
rw_status rw_softplus(rw_graph *graph, rw_value x, rw_value *y);
rw_status rw_elu_plus_one(rw_graph *graph, rw_value x, rw_value *y);
rw_status rw_product(rw_graph *graph, rw_value a, rw_value b, rw_value *y);  /* a * b */
rw_status rw_residual(rw_graph *graph, rw_value a, rw_value b, rw_value *y); /* a + b */
/* [v | x1 | x2] and h to [v x1 | x2 | h], each of h.width columns. */
rw_status rw_hyena_gate(rw_graph *graph, rw_value x, rw_value h, rw_value *y);
/* silu(first half of the columns) * second half. */
rw_status rw_swiglu(rw_graph *graph, rw_value x, rw_value *y);
/* The rows of each document in reverse order. A causal mixer between two reversals sees the tokens
 * after a token instead of the tokens before. */
rw_status rw_reverse(rw_graph *graph, rw_value x, rw_value *y);
rw_status rw_dropout(rw_graph *graph, rw_value x, double rate, rw_value *y);

/* For linear attention; columns are `heads` equal groups. Features with
 * phi(x).phi(y) = 1 + u + u^2/2, u = x.y / sqrt d: of d columns 1 + d + d (d+1) / 2. */
rw_status rw_taylor_features(rw_graph *graph, rw_value x, int heads, rw_value *y);
/* A column of ones after each group of columns; and each group divided by its last column. */
rw_status rw_append_ones(rw_graph *graph, rw_value x, int heads, rw_value *y);
rw_status rw_divide_by_last(rw_graph *graph, rw_value x, int heads, rw_value *y);

/* For implicit filters: row t of a value belongs to lag t. Lag `length` has the position 1; lags
 * beyond `length` are defined too. The features of a lag are t / length, and cos and -sin of
 * `bands` frequencies: 1 + 2 bands columns. */
rw_status rw_positions(rw_graph *graph, long length, int bands, rw_value *y);
/* sin(w x), `name`.frequency w per column, at first `frequency`. */
rw_status rw_sine(rw_graph *graph, rw_value x, const char *name, double frequency, rw_value *y);
/* The filter: h_t (exp(-alpha t / length) + shift), alpha from `slow` to `fast`
 * over the columns; `name`.bias is added at lag 0. */
typedef struct {
    const char *name;
    long length;
    double slow, fast, shift;
} rw_decay_window_options;
rw_status rw_decay_window(rw_graph *graph, rw_value h, const rw_decay_window_options *options,
                          rw_value *y);
/* y_t = sum_{j<=t} h_j u_{t-j}, per column and document. */
typedef enum {
    RW_CONVOLVE_AUTO,     /* by channels, or by transform if more ranks then have work */
    RW_CONVOLVE_CHANNELS, /* ranks exchange rows for channels */
    RW_CONVOLVE_FFT,      /* ranks share the transform: 1, 2, 4, 8 or 16 of them */
} rw_convolve_exchange;
rw_status rw_long_convolution(rw_graph *graph, rw_value u, rw_value h,
                              rw_convolve_exchange exchange, rw_value *y);

/* Rotary positions: y = x with the columns of each of the first `heads` heads of d = head_width
 * columns turned in pairs (i, i + d/2) by the angle position / base^(2i/d). Products of two rows
 * then depend on their distance alone. d is even; further columns stay as they are. */
rw_status rw_rotary(rw_graph *graph, rw_value x, int heads, int head_width, double base,
                    rw_value *y);
/* Causal softmax attention: q (heads d columns), k and v (kv_heads d), y as q. Head h
 * of q goes with head h / (heads / kv_heads) of k and v. */
typedef enum { RW_ATTENTION_AUTO, RW_ATTENTION_BY_HEADS, RW_ATTENTION_BY_RING } rw_attention_way;
typedef struct {
    int heads, kv_heads;       /* kv_heads divides heads */
    long window;               /* keys that a row sees, the row itself included; 0: all */
    rw_attention_way exchange; /* between ranks that share sequences; has no influence on bits */
    long ring_reals;           /* memory of a ring, in reals; at least the memory of one key head */
} rw_attention_options;
rw_status rw_softmax_attention(rw_graph *graph, rw_value q, rw_value k, rw_value v,
                               const rw_attention_options *options, rw_value *y);

/* Losses. `table`: index of a parameter (vocab, width) to share (tied embeddings), or -1 for a
 * parameter `name`.weight of its own. */
rw_status rw_cross_entropy(rw_graph *graph, rw_value x, const char *name, int vocab, int table);
rw_status rw_squared_error(rw_graph *graph, rw_value x, const char *name, int features);

#endif
