#include "kernels/depthwise.h"

#include <string.h>

#include "kernels/elementary.h"
#include "kernels/lanes.h"

/* Channels treated together: sums of a row of them, over taps or over rows, stay in
 * registers. Groups are copied to dense arrays, with zeros beyond the last channel, so that
 * few loops ever meet a partial vector; those of a chunk of 256 rows stay in the L2 cache. */
#define VECTORS 8
#define GROUP   (VECTORS * RW_LANES)

typedef struct {
    int begin, count; /* channels */
    real *weight;     /* (K, GROUP): transposed, a tap a row */
    real *bias;       /* (GROUP) */
    real *x;          /* (K-1 + rows, GROUP): from token -(K-1) on */
    real *dp;         /* (K-1 + rows + K-1, GROUP): zeros around the rows */
} group;

/* sum += a b */
static inline void add_product(const real *a, const real *b, rw_vector sum[VECTORS])
{
    for (int v = 0; v < VECTORS; v++) sum[v] += rw_lanes_load(a, v) * rw_lanes_load(b, v);
}

/* to = base + sum. Not a copy, which gcc would take out of the registers for. */
static inline void store_sum(const real *base, const rw_vector sum[VECTORS], real *to)
{
    for (int v = 0; v < VECTORS; v++) rw_lanes_store(to, v, rw_lanes_load(base, v) + sum[v]);
}

/* to = base + sum_k a[k] b[k], rows of b being `stride` apart. */
static inline void sum_taps(int taps, const real *a, const real *b, long stride, const real *base,
                            real *to)
{
    rw_vector sum[VECTORS] = {{0}};
    for (int k = 0; k < taps; k++) add_product(a + k * GROUP, b + k * stride, sum);
    store_sum(base, sum, to);
}

static const real zeros[GROUP];

static size_t x_reals(int rows, int taps)
{
    return (size_t)(taps - 1 + rows) * GROUP;
}

static size_t dp_reals(int rows, int taps)
{
    return (size_t)(rows + 2 * (taps - 1)) * GROUP;
}

size_t rw_depthwise_scratch_reals(int rows, int taps)
{
    return GROUP * (size_t)(taps + 1) + x_reals(rows, taps) + dp_reals(rows, taps);
}

/* Channels from `begin` on of the token t >= -(K-1); NULL: zeros. */
static const real *token(const rw_depthwise *conv, int t, int begin)
{
    if (t >= 0) return conv->x + (size_t)t * conv->ldx + begin;
    if (!conv->before) return NULL;
    return conv->before + (size_t)(t + conv->taps - 1) * conv->channels + begin;
}

static void copy_tokens(const rw_depthwise *conv, const group *part)
{
    const int edge = conv->taps - 1;
    for (int t = -edge; t < conv->rows; t++) {
        const real *from = token(conv, t, part->begin);
        real *to = part->x + (size_t)(t + edge) * GROUP;
        if (from && part->count == GROUP)
            memcpy(to, from, sizeof(real) * GROUP);
        else
            for (int c = 0; c < GROUP; c++) to[c] = from && c < part->count ? from[c] : 0;
    }
}

static group group_begin(const rw_depthwise *conv, int begin, real *scratch)
{
    int taps = conv->taps, left = conv->channels - begin;
    group part = {.begin = begin, .count = left < GROUP ? left : GROUP};
    part.weight = scratch;
    part.bias = part.weight + taps * GROUP;
    part.x = part.bias + GROUP;
    part.dp = part.x + x_reals(conv->rows, taps);
    for (int c = 0; c < GROUP; c++) {
        bool inside = c < part.count;
        part.bias[c] = inside ? conv->bias[begin + c] : 0;
        for (int k = 0; k < taps; k++)
            part.weight[k * GROUP + c] = inside ? conv->weight[(size_t)(begin + c) * taps + k] : 0;
    }
    copy_tokens(conv, &part);
    return part;
}

/* p of row t (GROUP). */
static inline void preactivation(int taps, const group *part, int t, real *p)
{
    sum_taps(taps, part->weight, part->x + (size_t)t * GROUP, GROUP, part->bias, p);
}

void rw_depthwise_forward(const rw_depthwise *conv, real *y, int ldy, real *scratch)
{
    real p[GROUP];
    for (int begin = 0; begin < conv->channels; begin += GROUP) {
        group part = group_begin(conv, begin, scratch);
        for (int t = 0; t < conv->rows; t++) {
            real *restrict out = y + (size_t)t * ldy + begin;
            preactivation(conv->taps, &part, t, p);
            if (conv->silu)
                for (int c = 0; c < part.count; c++) out[c] = p[c] * rw_sigmoid(p[c]);
            else
                for (int c = 0; c < part.count; c++) out[c] = p[c];
        }
    }
}

/* d loss / d p of row t. */
static void preactivation_backward(const rw_depthwise *conv, const group *part, int t,
                                   const real *restrict dy, real *restrict dp)
{
    real p[GROUP];
    if (!conv->silu) {
        for (int c = 0; c < part->count; c++) dp[c] = dy[c];
        return;
    }
    preactivation(conv->taps, part, t, p);
    for (int c = 0; c < part->count; c++) {
        real s = rw_sigmoid(p[c]);
        dp[c] = dy[c] * s * (1 + p[c] * (1 - s));
    }
}

/* dp of all rows, zeros around them and beyond the last channel. */
static void fill_dp(const rw_depthwise *conv, const group *part, const real *dy, int lddy)
{
    const size_t edge = (size_t)conv->taps - 1, rows = (size_t)conv->rows;
    if (part->count < GROUP) memset(part->dp, 0, sizeof(real) * dp_reals(conv->rows, conv->taps));
    memset(part->dp, 0, sizeof(real) * edge * GROUP);
    memset(part->dp + (edge + rows) * GROUP, 0, sizeof(real) * edge * GROUP);
    for (int t = 0; t < conv->rows; t++)
        preactivation_backward(conv, part, t, dy + (size_t)t * lddy + part->begin,
                               part->dp + (edge + (size_t)t) * GROUP);
}

/* total = sum_t a[t] */
static void sum_of_rows(int rows, const real *a, real *total)
{
    rw_vector sum[VECTORS] = {{0}};
    for (int t = 0; t < rows; t++)
        for (int v = 0; v < VECTORS; v++) sum[v] += rw_lanes_load(a + t * GROUP, v);
    store_sum(zeros, sum, total);
}

/* total = sum_t a[t] b[t] */
static void sum_of_products(int rows, const real *a, const real *b, real *total)
{
    rw_vector sum[VECTORS] = {{0}};
    for (int t = 0; t < rows; t++) add_product(a + t * GROUP, b + t * GROUP, sum);
    store_sum(zeros, sum, total);
}

/* dbias = sum_t dp[t],  dweight[k] = sum_t dp[t] x[t - (K-1) + k] */
static void add_weight_gradient(const rw_depthwise *conv, const group *part,
                                const rw_depthwise_grad *grad)
{
    const int taps = conv->taps;
    const real *dp = part->dp + (taps - 1) * GROUP;
    real total[GROUP];
    sum_of_rows(conv->rows, dp, total);
    for (int c = 0; c < part->count; c++) grad->bias[part->begin + c] += total[c];
    for (int k = 0; k < taps; k++) {
        sum_of_products(conv->rows, dp, part->x + k * GROUP, total);
        for (int c = 0; c < part->count; c++)
            grad->weight[(size_t)(part->begin + c) * taps + k] += total[c];
    }
}

/* d loss / d x of token t, -(K-1) <= t < rows: sum_k weight[k] dp[t + (K-1) - k],
 * plus what later chunks send. */
static void token_gradient(const rw_depthwise *conv, const group *part, int t, const real *after,
                           bool add, real *restrict dx)
{
    int taps = conv->taps, shared = t - (conv->rows - (taps - 1));
    const real *dp = part->dp + (size_t)(t + 2 * (taps - 1)) * GROUP;
    real total[GROUP];
    bool full = part->count == GROUP;
    sum_taps(taps, part->weight, dp, -GROUP, full && add ? dx : zeros, full ? dx : total);
    for (int c = 0; !full && c < part->count; c++) dx[c] = add ? dx[c] + total[c] : total[c];
    if (after && shared >= 0)
        for (int c = 0; c < part->count; c++)
            dx[c] += after[(size_t)shared * conv->channels + part->begin + c];
}

static void group_backward(const rw_depthwise *conv, const group *part, const real *dy, int lddy,
                           const real *after, const rw_depthwise_grad *grad)
{
    int edge = conv->taps - 1;
    fill_dp(conv, part, dy, lddy);
    if (grad->weight) add_weight_gradient(conv, part, grad);
    for (int t = 0; grad->x && t < conv->rows; t++)
        token_gradient(conv, part, t, after, grad->add,
                       grad->x + (size_t)t * grad->ldx + part->begin);
    for (int t = -edge; grad->before && t < 0; t++)
        token_gradient(conv, part, t, NULL, false,
                       grad->before + (size_t)(t + edge) * conv->channels + part->begin);
}

void rw_depthwise_backward(const rw_depthwise *conv, const real *dy, int lddy, const real *after,
                           const rw_depthwise_grad *grad, real *scratch)
{
    for (int begin = 0; begin < conv->channels; begin += GROUP) {
        group part = group_begin(conv, begin, scratch);
        group_backward(conv, &part, dy, lddy, after, grad);
    }
}

void rw_depthwise_tail(const rw_depthwise *conv, real *tail)
{
    const int edge = conv->taps - 1;
    const size_t bytes = sizeof(real) * (size_t)conv->channels;
    for (int j = 0; j < edge; j++) {
        const real *from = token(conv, conv->rows - edge + j, 0);
        if (from)
            memcpy(tail + (size_t)j * conv->channels, from, bytes);
        else
            memset(tail + (size_t)j * conv->channels, 0, bytes);
    }
}
