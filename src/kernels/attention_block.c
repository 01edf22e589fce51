#include "kernels/attention_block.h"

#include <math.h>
#include <string.h>

#include "kernels/dense.h"
#include "kernels/elementary.h"
#include "kernels/row_sum.h"
#include "kernels/tile_product.h"

/* Rows of scores that backward has at a time: those and their gradients stay in the
 * first-level cache. On the diagonal it skips the columns that none of them sees. */
enum { STRIP = 32 };

/* Columns are whole vectors, in pairs: the products have no remainders. */
static int padded(int columns)
{
    const int whole = 2 * RW_LANES;
    return (columns + whole - 1) / whole * whole;
}

static int clamp(long at, int most)
{
    return at < 0 ? 0 : at > most ? most : (int)at;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- Forward ----------------------------------------------------------------------
 *
 * Everything is kept transposed, a query a column: maxima and sums over keys run down
 * the columns, in vectors, and no product needs its operands rearranged.
 *
 *   gathered: m (rows') | l (rows') | scale q^T (width, rows') | o^T (width, rows')
 *   scratch:  scores and weights (keys, rows') | v (keys, width) | e^(m_old - m) (rows')
 *             | sums of a block (rows') */

size_t rw_attention_gathered_reals(int rows, int width)
{
    return (size_t)padded(rows) * 2 * (1 + (size_t)width);
}

void rw_attention_start(const rw_attention_pair *pair, real *gathered)
{
    const size_t wide = (size_t)padded(pair->queries), columns = (size_t)pair->width * wide;
    for (size_t t = 0; t < wide; t++) gathered[t] = -INFINITY;
    memset(gathered + wide, 0, wide * sizeof(real));
    rw_dense_transpose(pair->queries, pair->width, (int)wide, pair->scale, pair->q, pair->q_ld,
                       gathered + 2 * wide);
    memset(gathered + 2 * wide + columns, 0, columns * sizeof(real));
}

/* The queries [*from, *to) that see key s of the block; *seen is where the search for
 * *to goes on at the next key. */
static void seen_by(const rw_attention_pair *pair, int s, int *from, int *to, int *seen)
{
    const long key = pair->key_begin + s;
    while (*seen < pair->queries && pair->first[*seen] <= key) ++*seen;
    *to = *seen;
    *from = clamp(key - pair->query_begin, *to);
}

/* Scores (keys, wide): of the queries that see any of a strip of keys. */
static void scores_of(const rw_attention_pair *pair, int wide, const real *qt, real *scores)
{
    for (int s = 0; s < pair->keys; s += STRIP) {
        const long first = pair->key_begin + s - pair->query_begin;
        const int from = clamp(first, wide) / (2 * RW_LANES) * (2 * RW_LANES);
        const rw_strided k = {pair->k + (long)s * pair->k_ld, pair->k_ld, 1};
        rw_tile_product(least(STRIP, pair->keys - s), wide - from, pair->width, k, qt + from, wide,
                        0, scores + (long)s * wide + from, wide);
    }
}

/* m = the new maxima, change = e^(old - new), l *= change. */
static void raise(const rw_attention_pair *pair, int wide, const real *scores, real *restrict most,
                  real *restrict sum, real *restrict change)
{
    memcpy(change, most, (size_t)wide * sizeof(real));
    for (int s = 0, from, to, seen = 0; s < pair->keys; s++) {
        const real *restrict x = scores + (size_t)s * (size_t)wide;
        seen_by(pair, s, &from, &to, &seen);
        for (int t = from; t < to; t++) most[t] = x[t] > most[t] ? x[t] : most[t];
    }
    for (int t = 0; t < wide; t++) {
        const real shift = most[t] == -INFINITY ? 0 : most[t]; /* has seen none: all zero */
        change[t] = rw_exp(change[t] - shift);
        sum[t] *= change[t];
    }
}

/* Scores become weights, zero where they are not seen; l grows by their sum. */
static void weigh(const rw_attention_pair *pair, int wide, const real *restrict most,
                  real *restrict scores, real *restrict sum, real *restrict here)
{
    memset(here, 0, (size_t)wide * sizeof(real));
    for (int s = 0, from, to, seen = 0; s < pair->keys; s++) {
        real *restrict x = scores + (size_t)s * (size_t)wide;
        seen_by(pair, s, &from, &to, &seen);
        memset(x, 0, (size_t)from * sizeof(real));
        for (int t = from; t < to; t++) {
            x[t] = rw_exp(x[t] - most[t]);
            here[t] += x[t];
        }
        memset(x + to, 0, (size_t)(wide - to) * sizeof(real));
    }
    for (int t = 0; t < wide; t++) sum[t] += here[t];
}

void rw_attention_add(const rw_attention_pair *pair, real *gathered, real *scratch)
{
    const int wide = padded(pair->queries), width = pair->width;
    real *most = gathered, *sum = most + wide, *qt = sum + wide;
    real *out = qt + (size_t)width * (size_t)wide;
    real *values = scratch + (size_t)pair->keys * (size_t)wide;
    real *change = values + (size_t)pair->keys * (size_t)width;
    scores_of(pair, wide, qt, scratch);
    raise(pair, wide, scratch, most, sum, change);
    weigh(pair, wide, most, scratch, sum, change + wide);
    for (int i = 0; i < width; i++)
        for (int t = 0; t < wide; t++) out[(size_t)i * (size_t)wide + (size_t)t] *= change[t];
    rw_dense_copy(pair->keys, width, width, pair->v, pair->v_ld, values);
    rw_tile_product(width, wide, pair->keys, (rw_strided){values, 1, width}, scratch, wide, 1, out,
                    wide);
}

void rw_attention_finish(int rows, int width, const real *gathered, real *out, int out_ld,
                         real *logs, int logs_ld)
{
    const size_t wide = (size_t)padded(rows);
    const real *most = gathered, *sum = gathered + wide;
    const real *weighted = gathered + (2 + (size_t)width) * wide;
    for (int t = 0; t < rows; t++) {
        const real inverse = 1 / sum[t];
        real *to = out + (size_t)t * (size_t)out_ld;
        for (int i = 0; i < width; i++) to[i] = weighted[(size_t)i * wide + (size_t)t] * inverse;
        logs[(size_t)t * (size_t)logs_ld] = (real)((double)most[t] + log((double)sum[t]));
    }
}

/* ---- Backward ---------------------------------------------------------------------
 *
 * A key is a column, so that its sums do not move while queries pass by.
 *
 *   packed:  k^T (width, keys') | v^T (width, keys') | k (keys, width')
 *   dq (queries, width');  dk^T, dv^T (width, keys')
 *   scratch: p (STRIP, keys') | g (STRIP, keys') | q (STRIP, width) | do (STRIP, width) */

size_t rw_attention_gradient_reals(int rows, int width)
{
    return (size_t)padded(rows) * (size_t)padded(width);
}

size_t rw_attention_packed_reals(int rows, int width)
{
    return 3 * rw_attention_gradient_reals(rows, width);
}

size_t rw_attention_scratch_reals(int rows, int width)
{
    const size_t wide = (size_t)padded(rows), d = (size_t)width;
    const size_t forward = wide * wide + wide * d + 2 * wide, backward = 2 * STRIP * (wide + d);
    return forward > backward ? forward : backward;
}

real rw_attention_dot(int width, const real *out, const real *dout)
{
    return rw_row_dot(width, out, dout);
}

void rw_attention_pack(const rw_attention_pair *pair, real *packed)
{
    const int keys = pair->keys, width = pair->width, wide = padded(keys);
    const size_t each = (size_t)width * (size_t)wide;
    rw_dense_transpose(keys, width, wide, 1, pair->k, pair->k_ld, packed);
    rw_dense_transpose(keys, width, wide, 1, pair->v, pair->v_ld, packed + each);
    rw_dense_copy(keys, width, padded(width), pair->k, pair->k_ld, packed + 2 * each);
}

/* One row: x and do.v become p and g, zero where it does not see the key. */
static void row_gradients(const rw_attention_pair *pair, const rw_attention_rows_grad *grad, int t,
                          int columns, real *restrict p, real *restrict g)
{
    const int to = clamp(pair->query_begin + t + 1 - pair->key_begin, pair->keys);
    const int from = clamp(pair->first[t] - pair->key_begin, to);
    const real log_sum = grad->logs[(size_t)t * (size_t)grad->logs_ld];
    const real dot = grad->dots[(size_t)t * (size_t)grad->dots_ld], scale = pair->scale;
    memset(p, 0, (size_t)from * sizeof(real));
    memset(g, 0, (size_t)from * sizeof(real));
    for (int s = from; s < to; s++) {
        p[s] = rw_exp(scale * p[s] - log_sum);
        g[s] = p[s] * (scale * (g[s] - dot));
    }
    memset(p + to, 0, (size_t)(columns - to) * sizeof(real));
    memset(g + to, 0, (size_t)(columns - to) * sizeof(real));
}

/* Rows [begin, begin + rows) of the queries, which see keys before `seen` only. */
static void strip_gradients(const rw_attention_pair *pair, const real *packed,
                            const rw_attention_rows_grad *grad, int begin, int rows, int seen,
                            real *dq, real *dk, real *dv, real *scratch)
{
    const int width = pair->width, wide = padded(pair->keys), deep = padded(width);
    const int columns = padded(seen);
    const real *kt = packed, *vt = kt + (size_t)width * (size_t)wide;
    const real *k = vt + (size_t)width * (size_t)wide;
    real *p = scratch, *g = p + STRIP * (size_t)wide;
    real *q = g + STRIP * (size_t)wide, *dout = q + STRIP * (size_t)width;
    rw_dense_copy(rows, width, width, pair->q + (long)begin * pair->q_ld, pair->q_ld, q);
    rw_dense_copy(rows, width, width, grad->dout + (long)begin * grad->dout_ld, grad->dout_ld,
                  dout);
    rw_tile_product(rows, columns, width, (rw_strided){q, width, 1}, kt, wide, 0, p, wide);
    rw_tile_product(rows, columns, width, (rw_strided){dout, width, 1}, vt, wide, 0, g, wide);
    for (int t = 0; t < rows; t++)
        row_gradients(pair, grad, begin + t, columns, p + (long)t * wide, g + (long)t * wide);
    if (dk) {
        rw_tile_product(width, columns, rows, (rw_strided){q, 1, width}, g, wide, 1, dk, wide);
        rw_tile_product(width, columns, rows, (rw_strided){dout, 1, width}, p, wide, 1, dv, wide);
    }
    if (dq)
        rw_tile_product(rows, deep, seen, (rw_strided){g, wide, 1}, k, deep, 1,
                        dq + (long)begin * deep, deep);
}

void rw_attention_gradients(const rw_attention_pair *pair, const real *packed,
                            const rw_attention_rows_grad *grad, real *dq, real *dk, real *dv,
                            real *scratch)
{
    for (int begin = 0; begin < pair->queries; begin += STRIP) {
        const int rows = least(STRIP, pair->queries - begin);
        const int seen = clamp(pair->query_begin + begin + rows - pair->key_begin, pair->keys);
        if (seen > 0) strip_gradients(pair, packed, grad, begin, rows, seen, dq, dk, dv, scratch);
    }
}

void rw_attention_put_queries(int rows, int width, const real *sum, bool add, real *out, int ld)
{
    for (int t = 0; t < rows; t++, sum += padded(width), out += ld)
        for (int i = 0; i < width; i++) out[i] = add ? out[i] + sum[i] : sum[i];
}

void rw_attention_put_keys(int rows, int width, const real *sum, bool add, real *out, int ld)
{
    const size_t wide = (size_t)padded(rows);
    for (int t = 0; t < rows; t++, out += ld)
        for (int i = 0; i < width; i++) {
            const real value = sum[(size_t)i * wide + (size_t)t];
            out[i] = add ? out[i] + value : value;
        }
}
