/* Causal softmax attention of one head, between one block of queries and one block
 * of keys of the same sequence:
 *
 *   o_t = sum_s p_ts v_s,   p_ts = e^(x_ts) / sum_s' e^(x_ts'),   x_ts = scale q_t.k_s
 *
 * A row t sees the keys s with first_t <= s <= t. What a block of keys contributes
 * to a block of queries is a triple per row, over the keys that the row sees:
 *
 *   m = max x,   l = sum e^(x - m),   o = sum e^(x - m) v
 *
 * Triples of neighbouring blocks of keys combine (online softmax), and so never more
 * than one block of scores exists:
 *
 *   m = max(m', m''),   l = e^(m'-m) l' + e^(m''-m) l'',   o likewise
 *
 * A row that sees no key of the block has the identity, m = -infinity, l = 0, o = 0:
 * combined with it, a triple keeps its bits. Hence a pair of blocks in which no row
 * sees a key may be left out. Source: Milakov and Gimelshein 2018, Online normalizer
 * calculation for softmax, section 3.1; Dao 2023, FlashAttention-2, section 3.1.
 *
 * Backward starts from the logarithm of the sums, z_t = m_t + log l_t:
 *
 *   p_ts = e^(x_ts - z_t)      D_t = o_t.do_t      g_ts = p_ts (do_t.v_s - D_t)
 *   dv_s = sum_t p_ts do_t     dq_t = scale sum_s g_ts k_s     dk_s = scale sum_t g_ts q_t
 *
 * All matrices are row-major, ld = reals from one row to the next. */
#ifndef RW_ATTENTION_BLOCK_H
#define RW_ATTENTION_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

/* A block of queries and a block of keys. */
typedef struct {
    int queries, keys;           /* rows of each */
    int width;                   /* columns of the head, d */
    long query_begin, key_begin; /* place of their first rows in the sequence */
    const long *first;           /* (queries): the first key that each row sees */
    real scale;
    const real *q; /* (queries, width) */
    const real *k; /* (keys, width) */
    const real *v; /* (keys, width) */
    int q_ld, k_ld, v_ld;
} rw_attention_pair;

/* What backward knows of the rows of the queries. */
typedef struct {
    const real *dout; /* (queries, width) */
    const real *logs; /* z_t */
    const real *dots; /* D_t */
    int dout_ld;
    int logs_ld, dots_ld; /* from one row's number to the next */
} rw_attention_rows_grad;

/* Reals of the triples of `rows` rows: m (rows), l (rows), o (rows, width). */
size_t rw_attention_triple_reals(int rows, int width);
/* Working memory of any call below on blocks of at most `rows` rows, in reals. */
size_t rw_attention_scratch_reals(int rows);

/* The pair's triples. */
void rw_attention_block_forward(const rw_attention_pair *pair, real *triple, real *scratch);
/* out = left combined with right, the keys of `left` being before those of
 * `right`; out may be either. */
void rw_attention_combine(int rows, int width, const real *left, const real *right, real *out);
/* o / l and z, of rows that see a key. */
void rw_attention_finish(int rows, int width, const real *triple, real *out, int out_ld, real *logs,
                         int logs_ld);

/* D_t of one row of a head. */
real rw_attention_dot(int width, const real *out, const real *dout);
/* The pair's part of dq (queries, width), dense; written. */
void rw_attention_query_grad(const rw_attention_pair *pair, const rw_attention_rows_grad *grad,
                             real *dq, real *scratch);
/* The pair's part of dk and dv (keys, width), dense; written, or added if `add`. */
void rw_attention_key_grad(const rw_attention_pair *pair, const rw_attention_rows_grad *grad,
                           bool add, real *dk, real *dv, real *scratch);

#endif
