#include "kernels/attention_block.h"

#include <math.h>
#include <string.h>

#include "kernels/elementary.h"
#include "kernels/gemm.h"
#include "kernels/row_sum.h"

size_t rw_attention_triple_reals(int rows, int width)
{
    return (size_t)rows * ((size_t)width + 2);
}

size_t rw_attention_scratch_reals(int rows)
{
    return 2 * (size_t)rows * (size_t)rows;
}

static int clamp(long at, int most)
{
    return at < 0 ? 0 : at > most ? most : (int)at;
}

/* Row t sees keys [*from, *to) of the block; *from <= *to. */
static void seen(const rw_attention_pair *pair, int t, int *from, int *to)
{
    *to = clamp(pair->query_begin + t + 1 - pair->key_begin, pair->keys);
    *from = clamp(pair->first[t] - pair->key_begin, *to);
}

/* In lanes of which each has a maximum of its own: compilers vectorise these. */
static real row_max(int n, const real *restrict x)
{
    real lane[RW_SUM_LANES], most = -INFINITY;
    int i = 0;
    for (int k = 0; k < RW_SUM_LANES; k++) lane[k] = -INFINITY;
    for (; i + RW_SUM_LANES <= n; i += RW_SUM_LANES)
        for (int k = 0; k < RW_SUM_LANES; k++) lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
    for (int k = 0; k < RW_SUM_LANES; k++) most = lane[k] > most ? lane[k] : most;
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* x = e^(x - shift) in [from, to), zero in the rest of the row. */
static void weights_of_row(int n, int from, int to, real shift, real *restrict x)
{
    memset(x, 0, sizeof(real) * (size_t)from);
    for (int s = from; s < to; s++) x[s] = rw_exp(x[s] - shift);
    memset(x + to, 0, sizeof(real) * (size_t)(n - to));
}

static void scores_of(const rw_attention_pair *pair, real *scores)
{
    rw_gemm(false, true, pair->queries, pair->keys, pair->width, pair->scale, pair->q, pair->q_ld,
            pair->k, pair->k_ld, 0, scores, pair->keys);
}

void rw_attention_block_forward(const rw_attention_pair *pair, real *triple, real *scratch)
{
    const int rows = pair->queries, keys = pair->keys;
    real *most = triple, *sum = triple + rows, *out = sum + rows;
    scores_of(pair, scratch);
    for (int t = 0; t < rows; t++) {
        real *x = scratch + (size_t)t * (size_t)keys;
        int from, to;
        seen(pair, t, &from, &to);
        most[t] = row_max(to - from, x + from);
        weights_of_row(keys, from, to, most[t], x);
        sum[t] = rw_row_sum(to - from, x + from);
    }
    rw_gemm(false, false, rows, pair->width, keys, 1, scratch, keys, pair->v, pair->v_ld, 0, out,
            pair->width);
}

/* out = a left + b right, a row; out may be either, which does not hinder vectors. */
static void blend(int n, real a, const real *left, real b, const real *right, real *out)
{
#pragma omp simd
    for (int i = 0; i < n; i++) out[i] = a * left[i] + b * right[i];
}

void rw_attention_combine(int rows, int width, const real *left, const real *right, real *out)
{
    const size_t head = 2 * (size_t)rows;
    for (int t = 0; t < rows; t++) {
        const size_t row = head + (size_t)t * (size_t)width;
        const bool no_left = left[t] == -INFINITY, no_right = right[t] == -INFINITY;
        if (no_left || no_right) { /* the other one, bit for bit */
            const real *kept = no_left ? right : left;
            out[t] = kept[t];
            out[rows + t] = kept[rows + t];
            memmove(out + row, kept + row, sizeof(real) * (size_t)width);
            continue;
        }
        const real most = left[t] > right[t] ? left[t] : right[t];
        const real a = rw_exp(left[t] - most), b = rw_exp(right[t] - most);
        out[t] = most;
        out[rows + t] = a * left[rows + t] + b * right[rows + t];
        blend(width, a, left + row, b, right + row, out + row);
    }
}

void rw_attention_finish(int rows, int width, const real *triple, real *out, int out_ld, real *logs,
                         int logs_ld)
{
    const real *most = triple, *sum = triple + rows, *weighted = sum + rows;
    for (int t = 0; t < rows; t++) {
        const real *from = weighted + (size_t)t * (size_t)width, inverse = 1 / sum[t];
        real *to = out + (size_t)t * (size_t)out_ld;
        for (int i = 0; i < width; i++) to[i] = from[i] * inverse;
        logs[(size_t)t * (size_t)logs_ld] = (real)((double)most[t] + log((double)sum[t]));
    }
}

real rw_attention_dot(int width, const real *out, const real *dout)
{
    return rw_row_dot(width, out, dout);
}

/* g = scale p (g - D) in place; g comes as do.v. */
static void gradients_of_row(int n, real scale, real dot, const real *restrict p, real *restrict g)
{
    for (int s = 0; s < n; s++) g[s] = p[s] * (scale * (g[s] - dot));
}

/* p and scale g (queries, keys): what all gradients are products of. */
static void weights_and_gradients(const rw_attention_pair *pair, const rw_attention_rows_grad *grad,
                                  real *p, real *g)
{
    const int keys = pair->keys;
    scores_of(pair, p);
    rw_gemm(false, true, pair->queries, keys, pair->width, 1, grad->dout, grad->dout_ld, pair->v,
            pair->v_ld, 0, g, keys);
    for (int t = 0; t < pair->queries; t++) {
        const size_t row = (size_t)t * (size_t)keys;
        int from, to;
        seen(pair, t, &from, &to);
        weights_of_row(keys, from, to, grad->logs[(size_t)t * (size_t)grad->logs_ld], p + row);
        gradients_of_row(keys, pair->scale, grad->dots[(size_t)t * (size_t)grad->dots_ld], p + row,
                         g + row);
    }
}

void rw_attention_query_grad(const rw_attention_pair *pair, const rw_attention_rows_grad *grad,
                             real *dq, real *scratch)
{
    real *g = scratch + (size_t)pair->queries * (size_t)pair->keys;
    weights_and_gradients(pair, grad, scratch, g);
    rw_gemm(false, false, pair->queries, pair->width, pair->keys, 1, g, pair->keys, pair->k,
            pair->k_ld, 0, dq, pair->width);
}

void rw_attention_key_grad(const rw_attention_pair *pair, const rw_attention_rows_grad *grad,
                           bool add, real *dk, real *dv, real *scratch)
{
    real *g = scratch + (size_t)pair->queries * (size_t)pair->keys;
    weights_and_gradients(pair, grad, scratch, g);
    rw_gemm(true, false, pair->keys, pair->width, pair->queries, 1, g, pair->keys, pair->q,
            pair->q_ld, add, dk, pair->width);
    rw_gemm(true, false, pair->keys, pair->width, pair->queries, 1, scratch, pair->keys, grad->dout,
            grad->dout_ld, add, dv, pair->width);
}
