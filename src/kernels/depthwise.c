#include "kernels/depthwise.h"

#include <string.h>

#include "kernels/elementary.h"

/* Channels treated together: a row of them stays in registers and cache line
 * pairs, and the gradients of all rows of a group stay in the L2 cache. */
#define GROUP 64

typedef struct {
    int begin, count;       /* channels */
    real *weight, *dweight; /* (K, GROUP): transposed, a tap a row */
    real *dbias;            /* (GROUP) */
    real *dp;               /* (K-1 + rows + K-1, GROUP): zeros around the rows */
} group;

static const real zeros[GROUP];

size_t rw_depthwise_scratch_reals(int rows, int taps)
{
    return GROUP * (size_t)(2 * taps + 1 + rows + 2 * (taps - 1));
}

static group group_begin(const rw_depthwise *conv, int begin, real *scratch)
{
    int taps = conv->taps, left = conv->channels - begin;
    group part = {.begin = begin, .count = left < GROUP ? left : GROUP};
    part.weight = scratch;
    part.dweight = part.weight + taps * GROUP;
    part.dbias = part.dweight + taps * GROUP;
    part.dp = part.dbias + GROUP;
    for (int c = 0; c < part.count; c++)
        for (int k = 0; k < taps; k++)
            part.weight[k * GROUP + c] = conv->weight[(size_t)(begin + c) * taps + k];
    return part;
}

/* Channels from `begin` on of the token t >= -(K-1). */
static const real *token(const rw_depthwise *conv, int t, int begin)
{
    if (t >= 0) return conv->x + (size_t)t * conv->ldx + begin;
    if (!conv->before) return zeros;
    return conv->before + (size_t)(t + conv->taps - 1) * conv->channels + begin;
}

static void preactivation(const rw_depthwise *conv, const group *part, int t, real *restrict p)
{
    for (int c = 0; c < part->count; c++) p[c] = conv->bias[part->begin + c];
    for (int k = 0; k < conv->taps; k++) {
        const real *restrict w = part->weight + k * GROUP;
        const real *restrict x = token(conv, t - (conv->taps - 1) + k, part->begin);
        for (int c = 0; c < part->count; c++) p[c] += w[c] * x[c];
    }
}

void rw_depthwise_forward(const rw_depthwise *conv, real *y, int ldy, real *scratch)
{
    real p[GROUP];
    for (int begin = 0; begin < conv->channels; begin += GROUP) {
        group part = group_begin(conv, begin, scratch);
        for (int t = 0; t < conv->rows; t++) {
            real *restrict out = y + (size_t)t * ldy + begin;
            preactivation(conv, &part, t, p);
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
    preactivation(conv, part, t, p);
    for (int c = 0; c < part->count; c++) {
        real s = rw_sigmoid(p[c]);
        dp[c] = dy[c] * s * (1 + p[c] * (1 - s));
    }
}

static void add_weight_gradient(const rw_depthwise *conv, const group *part, int t,
                                const real *restrict dp)
{
    for (int c = 0; c < part->count; c++) part->dbias[c] += dp[c];
    for (int k = 0; k < conv->taps; k++) {
        real *restrict dw = part->dweight + k * GROUP;
        const real *restrict x = token(conv, t - (conv->taps - 1) + k, part->begin);
        for (int c = 0; c < part->count; c++) dw[c] += dp[c] * x[c];
    }
}

static void store_weight_gradient(const rw_depthwise *conv, const group *part,
                                  const rw_depthwise_grad *grad)
{
    for (int c = 0; c < part->count; c++) {
        grad->bias[part->begin + c] += part->dbias[c];
        for (int k = 0; k < conv->taps; k++)
            grad->weight[(size_t)(part->begin + c) * conv->taps + k] +=
                part->dweight[k * GROUP + c];
    }
}

/* d loss / d x of token t, -(K-1) <= t < rows: sum_k weight[k] dp[t + (K-1) - k],
 * plus what later chunks send. */
static void token_gradient(const rw_depthwise *conv, const group *part, int t, const real *after,
                           bool add, real *restrict dx)
{
    int taps = conv->taps, shared = t - (conv->rows - (taps - 1));
    if (!add)
        for (int c = 0; c < part->count; c++) dx[c] = 0;
    for (int k = 0; k < taps; k++) {
        const real *restrict w = part->weight + k * GROUP;
        const real *restrict dp = part->dp + (size_t)(t + 2 * (taps - 1) - k) * GROUP;
        for (int c = 0; c < part->count; c++) dx[c] += w[c] * dp[c];
    }
    if (after && shared >= 0)
        for (int c = 0; c < part->count; c++)
            dx[c] += after[(size_t)shared * conv->channels + part->begin + c];
}

static void group_backward(const rw_depthwise *conv, const group *part, const real *dy, int lddy,
                           const real *after, const rw_depthwise_grad *grad)
{
    int edge = conv->taps - 1;
    memset(part->dweight, 0, sizeof(real) * (size_t)(conv->taps + 1 + edge) * GROUP);
    memset(part->dp + (size_t)(edge + conv->rows) * GROUP, 0, sizeof(real) * (size_t)edge * GROUP);
    for (int t = 0; t < conv->rows; t++) {
        real *dp = part->dp + (size_t)(edge + t) * GROUP;
        preactivation_backward(conv, part, t, dy + (size_t)t * lddy + part->begin, dp);
        if (grad->weight) add_weight_gradient(conv, part, t, dp);
    }
    if (grad->weight) store_weight_gradient(conv, part, grad);
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
    int edge = conv->taps - 1;
    for (int begin = 0; begin < conv->channels; begin += GROUP) {
        int left = conv->channels - begin, count = left < GROUP ? left : GROUP;
        for (int j = 0; j < edge; j++)
            memcpy(tail + (size_t)j * conv->channels + begin,
                   token(conv, conv->rows - edge + j, begin), sizeof(real) * (size_t)count);
    }
}
