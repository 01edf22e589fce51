/* Causal softmax attention of one head, between one block of queries and one block
 * of keys of the same sequence:
 *
 *   o_t = sum_s p_ts v_s,   p_ts = e^(x_ts) / sum_s' e^(x_ts'),   x_ts = scale q_t.k_s
 *
 * A row t sees the keys s with first_t <= s <= t. Blocks of keys are added one after
 * another to what a block of queries has gathered (online softmax), per row
 *
 *   m = max x',   l = sum 2^(x' - m),   o = sum 2^(x' - m) v,   x' = x log2(e)
 *
 * so that never more than one block of scores exists; a row that sees no key of a block
 * keeps what it has. Source: Milakov and Gimelshein 2018, Online normalizer calculation
 * for softmax, section 3.1; Dao 2023, FlashAttention-2, section 3.1.
 *
 * Backward starts from the logarithm of the sums, z_t = m_t + log2 l_t:
 *
 *   p_ts = 2^(x'_ts - z_t)     D_t = o_t.do_t      g_ts = scale p_ts (do_t.v_s - D_t)
 *   dv_s = sum_t p_ts do_t     dq_t = sum_s g_ts k_s     dk_s = sum_t g_ts q_t
 *
 * and adds what a pair of blocks contributes to the three sums: all of them in one go,
 * or those of queries or of keys alone, with the same bits.
 *
 * All matrices are row-major, ld = reals from one row to the next. Sums are kept in an
 * order of their own: start, add, finish. */
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
    const long *first;           /* (queries): the first key that each row sees; ascending */
    real scale;
    const real *q; /* (queries, width) */
    const real *k; /* (keys, width) */
    const real *v; /* (keys, width) */
    int q_ld, k_ld, v_ld;
} rw_attention_pair;

/* The values of the queries' rows for backward. */
typedef struct {
    const real *dout; /* (queries, width) */
    const real *logs; /* z_t */
    const real *dots; /* D_t */
    int dout_ld;
    int logs_ld, dots_ld; /* reals from the number of a row to the next */
} rw_attention_rows_grad;

/* Reals, for blocks of at most `rows` rows: the sums of a block of queries in forward; a sum of
 * gradients of a block (dq, dk or dv); the packed keys of a block for backward; working memory of a
 * call. */
size_t rw_attention_gathered_reals(int rows, int width);
size_t rw_attention_gradient_reals(int rows, int width);
size_t rw_attention_packed_reals(int rows, int width);
size_t rw_attention_scratch_reals(int rows, int width);

/* Forward. start: no key seen yet by the pair's queries (reads q alone). add: the keys of the pair.
 * finish: o / l (rows, width) and z (rows), of rows that have seen a key. */
void rw_attention_start(const rw_attention_pair *pair, real *gathered);
void rw_attention_add(const rw_attention_pair *pair, real *gathered, real *scratch);
void rw_attention_finish(int rows, int width, const real *gathered, real *out, int out_ld,
                         real *logs, int logs_ld);

/* D_t of one row of a head. */
real rw_attention_dot(int width, const real *out, const real *dout);

/* Packs the keys and values of a pair (reads no other member), for the calls below. */
void rw_attention_pack(const rw_attention_pair *pair, real *packed);
/* Adds the pair's part to dq, and to dk and dv; each may be NULL, dk and dv both. */
void rw_attention_gradients(const rw_attention_pair *pair, const real *packed,
                            const rw_attention_rows_grad *grad, real *dq, real *dk, real *dv,
                            real *scratch);
/* A sum of gradients as rows (rows, width), written or added: dq; dk or dv. */
void rw_attention_put_queries(int rows, int width, const real *sum, bool add, real *out, int ld);
void rw_attention_put_keys(int rows, int width, const real *sum, bool add, real *out, int ld);

#endif
