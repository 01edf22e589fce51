#include "kernels/depthwise.h"

#include <string.h>

#include "kernels/elementary.h"

/* Most channels treated together, over all rows: weights, sums and the last rows then stay in the
 * first-level cache, and x and dy are read in place, in runs long enough for the prefetcher. */
#define BLOCK 512

typedef struct {
    const rw_depthwise *conv;
    int begin, count; /* channels */
    real *weight;     /* (K, BLOCK): transposed, a tap a row */
    real *dp;         /* (K, BLOCK): d loss / d p of token t in row t mod K */
    real *dweight;    /* (K, BLOCK) */
    real *dbias;      /* (BLOCK) */
    real *row;        /* (BLOCK): a row of p, or of dx */
} block;

static const real zeros[BLOCK];

size_t rw_depthwise_scratch_reals(int taps)
{
    return BLOCK * (size_t)(3 * taps + 2);
}

/* Channels of a block: blocks are of about equal width, in whole vectors. */
static int block_width(const rw_depthwise *conv)
{
    const int blocks = (conv->channels + BLOCK - 1) / BLOCK;
    const int width = (conv->channels + blocks - 1) / blocks;
    return (width + RW_LANES - 1) / RW_LANES * RW_LANES;
}

static block block_begin(const rw_depthwise *conv, int begin, real *scratch)
{
    const int taps = conv->taps, left = conv->channels - begin, most = block_width(conv);
    block b = {.conv = conv, .begin = begin, .count = left < most ? left : most};
    b.weight = scratch;
    b.dp = b.weight + taps * BLOCK;
    b.dweight = b.dp + taps * BLOCK;
    b.dbias = b.dweight + taps * BLOCK;
    b.row = b.dbias + BLOCK;
    for (int c = 0; c < b.count; c++)
        for (int k = 0; k < taps; k++)
            b.weight[k * BLOCK + c] = conv->weight[(size_t)(begin + c) * (size_t)taps + (size_t)k];
    return b;
}

/* Channels from `begin` on of the token t >= -(K-1); NULL: zeros. */
static const real *token(const rw_depthwise *conv, int t, int begin)
{
    if (t >= 0) return conv->x + (size_t)t * (size_t)conv->ldx + begin;
    if (!conv->before) return NULL;
    return conv->before + (size_t)(t + conv->taps - 1) * (size_t)conv->channels + begin;
}

/* The input of tap k at row t. */
static const real *seen(const block *b, int t, int k)
{
    const real *x = token(b->conv, t - (b->conv->taps - 1) + k, b->begin);
    return x ? x : zeros;
}

/* ---- Sums over taps, as many at once as there are registers for ------------------ */

enum { TOGETHER = 4 };

/* out = base + sum_k w_k x_k. out may be base. */
static inline __attribute__((always_inline)) void
sum_of(int taps, int n, const real *w, const real *const *x, const real *base, real *out)
{
#pragma omp simd
    for (int c = 0; c < n; c++) {
        real sum = base[c];
        for (int k = 0; k < taps; k++) sum += w[k * BLOCK + c] * x[k][c];
        out[c] = sum;
    }
}

/* The number of taps is a constant in each case, for the compiler to unroll. */
static void sum_some(int taps, int n, const real *w, const real *const *x, const real *base,
                     real *out)
{
    if (taps == 1) sum_of(1, n, w, x, base, out);
    if (taps == 2) sum_of(2, n, w, x, base, out);
    if (taps == 3) sum_of(3, n, w, x, base, out);
    if (taps == TOGETHER) sum_of(TOGETHER, n, w, x, base, out);
}

/* total_k += d x_k */
static inline __attribute__((always_inline)) void add_of(int taps, int n, const real *d,
                                                         const real *const *x, real *total)
{
#pragma omp simd
    for (int c = 0; c < n; c++)
        for (int k = 0; k < taps; k++) total[k * BLOCK + c] += d[c] * x[k][c];
}

static void add_some(int taps, int n, const real *d, const real *const *x, real *total)
{
    if (taps == 1) add_of(1, n, d, x, total);
    if (taps == 2) add_of(2, n, d, x, total);
    if (taps == 3) add_of(3, n, d, x, total);
    if (taps == TOGETHER) add_of(TOGETHER, n, d, x, total);
}

static int together(int left)
{
    return left < TOGETHER ? left : TOGETHER;
}

/* ---- Rows ---------------------------------------------------------------------------- */

/* p of row t. */
static void preactivation(const block *b, int t, real *p)
{
    const real *x[TOGETHER], *base = b->conv->bias + b->begin;
    for (int k = 0; k < b->conv->taps; k += TOGETHER, base = p) {
        const int some = together(b->conv->taps - k);
        for (int i = 0; i < some; i++) x[i] = seen(b, t, k + i);
        sum_some(some, b->count, b->weight + k * BLOCK, x, base, p);
    }
}

static void silu_row(int n, const real *restrict p, real *restrict y)
{
    for (int c = 0; c < n; c++) y[c] = p[c] * rw_sigmoid(p[c]);
}

void rw_depthwise_forward(const rw_depthwise *conv, real *y, int ldy, real *scratch)
{
    for (int begin = 0; begin < conv->channels; begin += block_width(conv)) {
        const block b = block_begin(conv, begin, scratch);
        for (int t = 0; t < conv->rows; t++) {
            real *out = y + (size_t)t * (size_t)ldy + begin;
            preactivation(&b, t, conv->silu ? b.row : out);
            if (conv->silu) silu_row(b.count, b.row, out);
        }
    }
}

static real *dp_of(const block *b, int t)
{
    return b->dp + t % b->conv->taps * BLOCK;
}

static void silu_gradient_row(int n, const real *restrict p, const real *restrict dy,
                              real *restrict dp)
{
    for (int c = 0; c < n; c++) {
        const real s = rw_sigmoid(p[c]);
        dp[c] = dy[c] * s * (1 + p[c] * (1 - s));
    }
}

/* dp of row t. There is none after the last row. */
static void preactivation_backward(const block *b, int t, const real *dy)
{
    const size_t bytes = (size_t)b->count * sizeof(real);
    if (t >= b->conv->rows) {
        memset(dp_of(b, t), 0, bytes);
    } else if (b->conv->silu) {
        preactivation(b, t, b->row);
        silu_gradient_row(b->count, b->row, dy, dp_of(b, t));
    } else {
        memcpy(dp_of(b, t), dy, bytes);
    }
}

/* dbias += dp[t],  dweight[k] += dp[t] x[t - (K-1) + k] */
static void add_row(const block *b, int t)
{
    const real *x[TOGETHER], *dp = dp_of(b, t);
    for (int c = 0; c < b->count; c++) b->dbias[c] += dp[c];
    for (int k = 0; k < b->conv->taps; k += TOGETHER) {
        const int some = together(b->conv->taps - k);
        for (int i = 0; i < some; i++) x[i] = seen(b, t, k + i);
        add_some(some, b->count, dp, x, b->dweight + k * BLOCK);
    }
}

/* out = base + d loss / d x of the token t - (K-1), sum_k weight[k] dp[t - k]; dp of earlier
 * rows than the first is zero. */
static void token_gradient(const block *b, int t, const real *base, real *out)
{
    const real *dp[TOGETHER];
    for (int k = 0; k < b->conv->taps; k += TOGETHER, base = out) {
        const int some = together(b->conv->taps - k);
        for (int i = 0; i < some; i++) dp[i] = t >= k + i ? dp_of(b, t - k - i) : zeros;
        sum_some(some, b->count, b->weight + k * BLOCK, dp, base, out);
    }
}

/* The gradient of the token from later chunks, or zero. */
static void add_later(const block *b, int token, const real *after, real *dx)
{
    const int shared = token - (b->conv->rows - (b->conv->taps - 1));
    if (!after || shared < 0) return;
    after += (size_t)shared * (size_t)b->conv->channels + (size_t)b->begin;
    for (int c = 0; c < b->count; c++) dx[c] += after[c];
}

/* The gradient of the token whose last reader is row t. */
static void put_gradient(const block *b, int t, const real *after, const rw_depthwise_grad *grad)
{
    const int at = t - (b->conv->taps - 1);
    if (at >= 0 && grad->x) {
        real *dx = grad->x + (size_t)at * (size_t)grad->ldx + b->begin;
        token_gradient(b, t, grad->add ? dx : zeros, dx);
        add_later(b, at, after, dx);
    } else if (at < 0 && grad->before) {
        token_gradient(b, t, zeros,
                       grad->before + (size_t)t * (size_t)b->conv->channels + b->begin);
    }
}

static void add_totals(const block *b, const rw_depthwise_grad *grad)
{
    const int taps = b->conv->taps;
    for (int c = 0; c < b->count; c++) {
        grad->bias[b->begin + c] += b->dbias[c];
        for (int k = 0; k < taps; k++)
            grad->weight[(size_t)(b->begin + c) * (size_t)taps + (size_t)k] +=
                b->dweight[k * BLOCK + c];
    }
}

/* dx of a token is written when no later row reads the token: dx may overwrite x. */
static void block_backward(const block *b, const real *dy, int lddy, const real *after,
                           const rw_depthwise_grad *grad)
{
    const int rows = b->conv->rows, taps = b->conv->taps;
    memset(b->dweight, 0, sizeof(real) * BLOCK * (size_t)(taps + 1)); /* and dbias */
    for (int t = 0; t < rows + taps - 1; t++) {
        preactivation_backward(b, t, dy + (size_t)t * (size_t)lddy + b->begin);
        if (grad->weight && t < rows) add_row(b, t);
        put_gradient(b, t, after, grad);
    }
    if (grad->weight) add_totals(b, grad);
}

void rw_depthwise_backward(const rw_depthwise *conv, const real *dy, int lddy, const real *after,
                           const rw_depthwise_grad *grad, real *scratch)
{
    for (int begin = 0; begin < conv->channels; begin += block_width(conv)) {
        const block b = block_begin(conv, begin, scratch);
        block_backward(&b, dy, lddy, after, grad);
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
