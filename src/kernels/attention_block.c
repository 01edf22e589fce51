#include "kernels/attention_block.h"

#include <math.h>
#include <string.h>

#include "kernels/dense.h"
#include "kernels/elementary.h"
#include "kernels/row_sum.h"
#include "kernels/tile_product.h"

/* Rows of scores that backward has at a time: scores and their gradients stay in cache, in the
 * first level for short vectors; long vectors need longer sums. On the diagonal, columns that no
 * row sees are skipped. */
enum { STRIP = RW_VECTOR_BYTES == 64 ? 64 : 32 };

/* Columns of scores that forward has at a time. */
enum { GROUP = 32 };

#define LOG2_E ((real)1.4426950408889634)

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
 * the columns, in vectors, and no product needs its operands rearranged. A group of
 * columns goes through all keys of the block while its scores are in the first-level
 * cache. Scores are those of powers of two.
 *
 *   gathered: m (rows') | l (rows') | scale log2(e) q^T (width, rows') | o^T (width, rows')
 *   scratch:  k (keys, width) | v (keys, width) | scores, then weights (keys, GROUP) */

/* Some of the columns. */
typedef struct {
    int begin, columns, rows; /* rows: how many of the columns are queries */
    int keys;                 /* keys of the block that at least one query attends to */
    int all_begin, all_end;   /* keys that GROUP queries all see */
    real *most, *sum, *out;   /* m, l, o^T at `begin` */
    real *scores;             /* (keys, columns) */
} group;

size_t rw_attention_gathered_reals(int rows, int width)
{
    return (size_t)padded(rows) * 2 * (1 + (size_t)width);
}

void rw_attention_start(const rw_attention_pair *pair, real *gathered)
{
    const size_t wide = (size_t)padded(pair->queries), columns = (size_t)pair->width * wide;
    for (size_t t = 0; t < wide; t++) gathered[t] = -INFINITY;
    memset(gathered + wide, 0, wide * sizeof(real));
    rw_dense_transpose(pair->queries, pair->width, (int)wide, pair->scale * LOG2_E, pair->q,
                       pair->q_ld, gathered + 2 * wide);
    memset(gathered + 2 * wide + columns, 0, columns * sizeof(real));
}

static group group_at(const rw_attention_pair *pair, int begin, int wide)
{
    const int rows = least(GROUP, pair->queries - begin);
    const long last = pair->query_begin + begin + rows, first = pair->first[begin + rows - 1];
    return (group){
        .begin = begin,
        .columns = least(GROUP, wide - begin),
        .rows = rows,
        .keys = clamp(last - pair->key_begin, pair->keys),
        .all_begin = clamp(first - pair->key_begin, pair->keys),
        .all_end = rows < GROUP ? 0 : clamp(last - GROUP + 1 - pair->key_begin, pair->keys),
    };
}

/* The columns [*from, *to) of a group that see key s of the block; *seen: start of the search for
 * *to at the next key. */
static void seen_by(const rw_attention_pair *pair, const group *g, int s, int *from, int *to,
                    int *seen)
{
    const long key = pair->key_begin + s;
    while (*seen < g->rows && pair->first[g->begin + *seen] <= key) ++*seen;
    *to = *seen;
    *from = clamp(key - pair->query_begin - g->begin, *to);
}

/* Do all columns of a whole group see key s and the next three keys? */
static bool four_seen_by_all(const group *g, int s)
{
    return s >= g->all_begin && s + 4 <= g->all_end;
}

static inline real larger(real a, real b)
{
    return a > b ? a : b;
}

/* m = the new maxima. */
static void raise(const rw_attention_pair *pair, const group *g)
{
    real *restrict most = g->most;
    for (int s = 0, from, to, seen = 0; s < g->keys; s++) {
        const real *restrict x = g->scores + (long)s * g->columns;
        if (four_seen_by_all(g, s)) {
            for (int t = 0; t < GROUP; t++) {
                const real a = larger(x[t], x[GROUP + t]);
                const real b = larger(x[2 * GROUP + t], x[3 * GROUP + t]);
                most[t] = larger(most[t], larger(a, b));
            }
            s += 3;
            continue;
        }
        seen_by(pair, g, s, &from, &to, &seen);
        for (int t = from; t < to; t++) most[t] = larger(most[t], x[t]);
    }
}

/* Turns scores into weights, zero for unseen keys; adds their sum to l. */
static void weigh(const rw_attention_pair *pair, const group *g)
{
    const real *restrict most = g->most;
    real here[GROUP] = {0};
    for (int s = 0, from, to, seen = 0; s < g->keys; s++) {
        real *restrict x = g->scores + (long)s * g->columns;
        if (four_seen_by_all(g, s)) {
            for (int t = 0; t < GROUP; t++) {
                const real a = x[t] = rw_exp2(x[t] - most[t]);
                const real b = x[GROUP + t] = rw_exp2(x[GROUP + t] - most[t]);
                const real c = x[2 * GROUP + t] = rw_exp2(x[2 * GROUP + t] - most[t]);
                const real d = x[3 * GROUP + t] = rw_exp2(x[3 * GROUP + t] - most[t]);
                here[t] += (a + b) + (c + d);
            }
            s += 3;
            continue;
        }
        seen_by(pair, g, s, &from, &to, &seen);
        memset(x, 0, (size_t)from * sizeof(real));
        for (int t = from; t < to; t++) here[t] += x[t] = rw_exp2(x[t] - most[t]);
        memset(x + to, 0, (size_t)(g->columns - to) * sizeof(real));
    }
    for (int t = 0; t < g->columns; t++) g->sum[t] += here[t];
}

/* l and o^T are scaled by 2^(old - new). */
static void rescale(const group *g, int width, int wide, const real *restrict old)
{
    real change[GROUP];
    for (int t = 0; t < g->columns; t++) {
        const real shift = g->most[t] == -INFINITY ? 0 : g->most[t]; /* has seen none: all zero */
        change[t] = rw_exp2(old[t] - shift);
        g->sum[t] *= change[t];
    }
    for (int i = 0; i < width; i++)
        for (int t = 0; t < g->columns; t++) g->out[(long)i * wide + t] *= change[t];
}

static void add_to_group(const rw_attention_pair *pair, const group *g, int wide, const real *qt,
                         const real *keys, const real *values)
{
    const int width = pair->width;
    real old[GROUP];
    memcpy(old, g->most, (size_t)g->columns * sizeof(real));
    rw_tile_product(g->keys, g->columns, width, (rw_strided){keys, width, 1}, qt, wide, 0,
                    g->scores, g->columns);
    raise(pair, g);
    rescale(g, width, wide, old);
    weigh(pair, g);
    rw_tile_product(width, g->columns, g->keys, (rw_strided){values, 1, width}, g->scores,
                    g->columns, 1, g->out, wide);
}

void rw_attention_add(const rw_attention_pair *pair, real *gathered, real *scratch)
{
    const int wide = padded(pair->queries), width = pair->width;
    real *qt = gathered + 2 * wide, *out = qt + (long)width * wide;
    real *keys = scratch, *values = keys + (long)pair->keys * width;
    rw_dense_copy(pair->keys, width, width, pair->k, pair->k_ld, keys);
    rw_dense_copy(pair->keys, width, width, pair->v, pair->v_ld, values);
    for (int begin = 0; begin < wide; begin += GROUP) {
        group g = group_at(pair, begin, wide);
        g.most = gathered + begin;
        g.sum = gathered + wide + begin;
        g.out = out + begin;
        g.scores = values + (long)pair->keys * width;
        if (g.keys > 0) add_to_group(pair, &g, wide, qt + begin, keys, values);
    }
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
        logs[(size_t)t * (size_t)logs_ld] = (real)((double)most[t] + log2((double)sum[t]));
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
    const size_t forward = wide * (2 * d + GROUP), backward = 2 * STRIP * (wide + d);
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

/* A row: x and do.v become p and g, zero if the row does not see the key. */
static void row_gradients(const rw_attention_pair *pair, const rw_attention_rows_grad *grad, int t,
                          int columns, real *restrict p, real *restrict g)
{
    const int to = clamp(pair->query_begin + t + 1 - pair->key_begin, pair->keys);
    const int from = clamp(pair->first[t] - pair->key_begin, to);
    const real log_sum = grad->logs[(size_t)t * (size_t)grad->logs_ld];
    const real dot = grad->dots[(size_t)t * (size_t)grad->dots_ld];
    const real scale = pair->scale, steep = scale * LOG2_E;
    for (int s = 0; s < from; s++) p[s] = g[s] = 0;
    for (int s = from; s < to; s++) {
        p[s] = rw_exp2(steep * p[s] - log_sum);
        g[s] = p[s] * (scale * (g[s] - dot));
    }
    for (int s = to; s < columns; s++) p[s] = g[s] = 0;
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
