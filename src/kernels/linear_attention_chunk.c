#include "kernels/linear_attention_chunk.h"

#include <math.h>
#include <string.h>

#include "kernels/dense.h"
#include "kernels/linear_attention_decay.h"
#include "kernels/linear_attention_pairs.h"
#include "kernels/tile_product.h"

#define BLOCK RW_LINEAR_ATTENTION_BLOCK
#define STRIP 16 /* rows of a triangle treated at once */

/* Working arrays of one call, in the order in which they lie in scratch; those of
 * one block of one head stay in cache. K' and V' are K and V rounded up to whole vectors:
 * products write no others. */
typedef struct {
    int blocks;           /* of the chunk */
    int key, value;       /* K', V' */
    real *decay, *growth; /* (blocks, BLOCK, K'): e_t and 1 / e_t of a head */
    real *q, *k;          /* (BLOCK, K'): q', k' */
    real *v;              /* (BLOCK, V'): v in forward, dy in backward */
    real *out;            /* (BLOCK, V'): where a product must not write in place */
    real *scores;         /* (BLOCK, BLOCK): q'_t.k'_s up to the strip of the diagonal */
    real *flipped;        /* a transpose: (K or V, BLOCK), (K, V') */
    real *states; /* (blocks, V, K'): a head's states, flipped, at the start of each block */
    /* Backward only: */
    real *dstate;  /* (V, K'): d loss / d (a head's state at the end of a block), flipped */
    real *dscores; /* (BLOCK, BLOCK): dy_t.v_s, likewise */
    real *dq, *dk; /* (BLOCK, K'): with respect to q', k' */
    real *dlog;    /* (BLOCK, K'): with respect to log a */
    real *across;  /* (leaves, K'): working space of the pairs of a block */
} workspace;

/* One block of one head. */
typedef struct {
    int head, begin, rows; /* begin: first token in the chunk */
    const real *q, *k, *v, *gate;
    real *decay, *growth;
    const real *keep; /* (K): e_n */
} block;

static int block_count(int rows)
{
    return (rows + BLOCK - 1) / BLOCK;
}

static int whole_vectors(int columns)
{
    return (columns + RW_LANES - 1) / RW_LANES * RW_LANES;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A state, flipped or not. */
static size_t state_reals(int key, int value)
{
    return larger((size_t)key * (size_t)whole_vectors(value),
                  (size_t)value * (size_t)whole_vectors(key));
}

static size_t flipped_reals(int key, int value)
{
    return larger(larger((size_t)key, (size_t)value) * BLOCK, state_reals(key, value));
}

size_t rw_linear_attention_scratch(int rows, int key, int value)
{
    size_t blocks = (size_t)block_count(rows);
    size_t keys = BLOCK * (size_t)whole_vectors(key), values = BLOCK * (size_t)whole_vectors(value);
    return (2 * blocks + 5) * keys + 2 * values + 2 * BLOCK * BLOCK + flipped_reals(key, value) +
           (blocks + 1) * state_reals(key, value) +
           RW_LINEAR_ATTENTION_LEAVES * (size_t)whole_vectors(key);
}

size_t rw_linear_attention_map(int heads, int key, rw_decay decay)
{
    if (decay == RW_DECAY_NONE) return 0;
    return (size_t)heads * (decay == RW_DECAY_CHANNEL ? (size_t)key : 1);
}

static real *carve(real **scratch, size_t count)
{
    real *out = *scratch;
    *scratch += count;
    return out;
}

static workspace workspace_carve(const rw_linear_attention *chunk, real *scratch)
{
    workspace work = {.blocks = block_count(chunk->rows),
                      .key = whole_vectors(chunk->key),
                      .value = whole_vectors(chunk->value)};
    size_t keys = BLOCK * (size_t)work.key, values = BLOCK * (size_t)work.value;
    size_t blocks = (size_t)work.blocks, state = state_reals(chunk->key, chunk->value);
    work.decay = carve(&scratch, blocks * keys);
    work.growth = carve(&scratch, blocks * keys);
    work.q = carve(&scratch, keys);
    work.k = carve(&scratch, keys);
    work.v = carve(&scratch, values);
    work.out = carve(&scratch, values);
    work.scores = carve(&scratch, BLOCK * BLOCK);
    work.flipped = carve(&scratch, flipped_reals(chunk->key, chunk->value));
    work.states = carve(&scratch, blocks * state);
    work.dstate = carve(&scratch, state);
    work.dscores = carve(&scratch, BLOCK * BLOCK);
    work.dq = carve(&scratch, keys);
    work.dk = carve(&scratch, keys);
    work.dlog = carve(&scratch, keys);
    work.across = carve(&scratch, RW_LINEAR_ATTENTION_LEAVES * (size_t)work.key);
    return work;
}

static block block_at(const rw_linear_attention *chunk, const workspace *work, int head, int index)
{
    int begin = index * BLOCK, left = chunk->rows - begin;
    size_t row = (size_t)begin, key = (size_t)head * (size_t)chunk->key, factors = 0;
    block part = {.head = head, .begin = begin, .rows = left < BLOCK ? left : BLOCK};
    part.q = chunk->q + row * (size_t)chunk->q_ld + key;
    part.k = chunk->k + row * (size_t)chunk->k_ld + key;
    part.v = chunk->v + row * (size_t)chunk->v_ld + (size_t)head * (size_t)chunk->value;
    if (chunk->decay == RW_DECAY_CHANNEL) {
        part.gate = chunk->gate + row * (size_t)chunk->gate_ld + key;
        factors = row * (size_t)work->key;
    }
    part.decay = work->decay + factors;
    part.growth = work->growth + factors;
    part.keep = part.decay + (size_t)(part.rows - 1) * (size_t)work->key;
    return part;
}

static const real *block_rows(const rw_linear_attention *chunk, const block *part, const real *x,
                              int ld)
{
    return x + (size_t)part->begin * (size_t)ld + (size_t)part->head * (size_t)chunk->value;
}

/* ---- Decay ------------------------------------------------------------------ */

static double head_log_decay(const rw_linear_attention *chunk, int head)
{
    return chunk->decay == RW_DECAY_HEAD ? rw_decay_of_head(head) : 0;
}

/* e_t and 1 / e_t of a head: of every block, or of one that stands for all. */
static void factors(const rw_linear_attention *chunk, const workspace *work, int head)
{
    if (chunk->decay != RW_DECAY_CHANNEL)
        rw_decay_constant(BLOCK, work->key, head_log_decay(chunk, head), work->decay, work->growth);
    for (int i = 0; chunk->decay == RW_DECAY_CHANNEL && i < work->blocks; i++) {
        block part = block_at(chunk, work, head, i);
        rw_decay_by_gates(part.rows, chunk->key, work->key, part.gate, chunk->gate_ld, part.decay,
                          part.growth);
    }
}

/* to (rows, wide) = scale factor x, element by element: x (rows, n), factor (rows, wide). */
static void scale_rows(int rows, int n, int wide, real scale, const real *x, int ld,
                       const real *factor, real *to)
{
    for (int t = 0; t < rows; t++) {
        const real *restrict from = x + (size_t)t * (size_t)ld;
        const real *restrict by = factor + (size_t)t * (size_t)wide;
        real *restrict out = to + (size_t)t * (size_t)wide;
        for (int c = 0; c < n; c++) out[c] = scale * by[c] * from[c];
        for (int c = n; c < wide; c++) out[c] = 0;
    }
}

static void scale_q(const rw_linear_attention *chunk, const workspace *work, const block *part)
{
    scale_rows(part->rows, chunk->key, work->key, chunk->scale, part->q, chunk->q_ld, part->decay,
               work->q);
}

static void scale_k(const rw_linear_attention *chunk, const workspace *work, const block *part)
{
    scale_rows(part->rows, chunk->key, work->key, 1, part->k, chunk->k_ld, part->growth, work->k);
}

/* ---- Products ------------------------------------------------------------------ */

static rw_strided rows_of(const real *matrix, long ld)
{
    return (rw_strided){matrix, ld, 1};
}

static rw_strided columns_of(const real *matrix, long ld)
{
    return (rw_strided){matrix, 1, ld};
}

/* (rows, columns) to its transpose (columns, wide); what is beyond the rows is zero. */
static const real *flip(const workspace *work, int rows, int columns, int wide, const real *from,
                        long ld)
{
    rw_dense_transpose(rows, columns, wide, 1, from, ld, work->flipped);
    return work->flipped;
}

static int strip_rows(int rows, int begin)
{
    return rows - begin < STRIP ? rows - begin : STRIP;
}

/* The lower triangle of a b: a (rows, inner), b (inner, BLOCK), out (rows, BLOCK). Each row
 * ends with zeros up to the end of the strip of its diagonal; the rest is not written, nor
 * read. */
static void triangle(int rows, int inner, const real *a, long lda, const real *b, real *out)
{
    for (int t = 0; t < rows; t += STRIP) {
        int height = strip_rows(rows, t);
        real *strip = out + (size_t)t * BLOCK, *square = strip + t;
        rw_tile_product(height, t + STRIP, inner, rows_of(a + t * lda, lda), b, BLOCK, 0, strip,
                        BLOCK);
        for (int i = 0; i < height; i++)
            for (int j = 0; j < STRIP; j++)
                square[i * BLOCK + j] = j <= i ? square[i * BLOCK + j] : 0;
    }
}

/* c = keep c + lower b: b (rows, n), n reals apart. */
static void lower_product(int rows, int n, const real *lower, const real *b, real keep, real *c,
                          long ldc)
{
    for (int t = 0; t < rows; t += STRIP) {
        int height = strip_rows(rows, t);
        rw_tile_product(height, n, t + height, rows_of(lower + (size_t)t * BLOCK, BLOCK), b, n,
                        keep, c + t * ldc, ldc);
    }
}

/* c = keep c + lower^T b */
static void upper_product(int rows, int n, const real *lower, const real *b, real keep, real *c,
                          long ldc)
{
    for (int s = 0; s < rows; s += STRIP)
        rw_tile_product(strip_rows(rows, s), n, rows - s,
                        columns_of(lower + (size_t)s * BLOCK + s, BLOCK), b + (size_t)s * (size_t)n,
                        n, keep, c + s * ldc, ldc);
}

/* ---- States ---------------------------------------------------------------------
 *
 * Forward has them as (K, V'), for q' S; all others flipped, as (V, K'), so that v and dy
 * need be neither copied nor filled up to whole vectors. */

static void load_flipped(const rw_linear_attention *chunk, const workspace *work, int head,
                         const real *from, real *to)
{
    size_t matrix = (size_t)chunk->key * (size_t)chunk->value;
    if (from)
        rw_dense_transpose(chunk->key, chunk->value, work->key, 1, from + (size_t)head * matrix,
                           chunk->value, to);
    else
        memset(to, 0, sizeof(real) * (size_t)chunk->value * (size_t)work->key);
}

static void store_flipped(const rw_linear_attention *chunk, const workspace *work, int head,
                          const real *from, real *to)
{
    size_t matrix = (size_t)chunk->key * (size_t)chunk->value;
    rw_dense_transpose(chunk->value, chunk->key, chunk->value, 1, from, work->key,
                       to + (size_t)head * matrix);
}

/* flipped = flipped diag(keep) */
static void decay_flipped(const rw_linear_attention *chunk, const workspace *work,
                          const real *restrict keep, real *flipped)
{
    if (chunk->decay == RW_DECAY_NONE) return;
    for (int j = 0; j < chunk->value; j++) {
        real *restrict row = flipped + (size_t)j * (size_t)work->key;
        for (int c = 0; c < work->key; c++) row[c] *= keep[c];
    }
}

/* flipped += x^T factor: x (rows, V), factor (rows, K'). */
static void add_to_flipped(const rw_linear_attention *chunk, const workspace *work,
                           const block *part, const real *x, long ld, const real *factor,
                           real *flipped)
{
    rw_tile_product(chunk->value, work->key, part->rows, columns_of(x, ld), factor, work->key, 1,
                    flipped, work->key);
}

/* From the state at the start of a block to that at its end; makes k'. */
static void advance_flipped(const rw_linear_attention *chunk, const workspace *work,
                            const block *part, real *flipped)
{
    scale_k(chunk, work, part);
    add_to_flipped(chunk, work, part, part->v, chunk->v_ld, work->k, flipped);
    decay_flipped(chunk, work, part->keep, flipped);
}

/* ---- Forward ------------------------------------------------------------------ */

void rw_linear_attention_summary(const rw_linear_attention *chunk, real *transition, real *state,
                                 real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    int key = chunk->key;
    for (int head = 0; head < chunk->heads; head++) {
        factors(chunk, &work, head);
        load_flipped(chunk, &work, head, NULL, work.states);
        for (int i = 0; i < work.blocks; i++) {
            block part = block_at(chunk, &work, head, i);
            advance_flipped(chunk, &work, &part, work.states);
            for (int c = 0; chunk->decay == RW_DECAY_CHANNEL && c < key; c++)
                transition[head * key + c] = part.keep[c] * (i ? transition[head * key + c] : 1);
        }
        if (chunk->decay == RW_DECAY_HEAD)
            transition[head] = (real)exp(chunk->rows * head_log_decay(chunk, head));
        store_flipped(chunk, &work, head, work.states, state);
    }
}

static void load_state(const rw_linear_attention *chunk, const workspace *work, int head,
                       const real *from, real *to)
{
    size_t matrix = (size_t)chunk->key * (size_t)chunk->value;
    if (from)
        rw_dense_copy(chunk->key, chunk->value, work->value, from + (size_t)head * matrix,
                      chunk->value, to);
    else
        memset(to, 0, sizeof(real) * (size_t)chunk->key * (size_t)work->value);
}

/* state = diag(e_n) (state + k'^T v); k' and v are in place. */
static void advance_state(const rw_linear_attention *chunk, const workspace *work,
                          const block *part, real *state)
{
    rw_tile_product(chunk->key, work->value, part->rows, columns_of(work->k, work->key), work->v,
                    work->value, 1, state, work->value);
    for (int c = 0; chunk->decay != RW_DECAY_NONE && c < chunk->key; c++) {
        real *restrict row = state + (size_t)c * (size_t)work->value;
        for (int j = 0; j < work->value; j++) row[j] *= part->keep[c];
    }
}

/* y of a block; makes q', k' and v. */
static void block_output(const rw_linear_attention *chunk, const workspace *work, const block *part,
                         const real *state, real *y, int ldy)
{
    bool in_place = work->value == chunk->value;
    real *out = in_place ? y : work->out;
    int ld = in_place ? ldy : work->value;
    scale_q(chunk, work, part);
    scale_k(chunk, work, part);
    rw_dense_copy(part->rows, chunk->value, work->value, part->v, chunk->v_ld, work->v);
    triangle(part->rows, chunk->key, work->q, work->key,
             flip(work, part->rows, chunk->key, BLOCK, work->k, work->key), work->scores);
    lower_product(part->rows, work->value, work->scores, work->v, 0, out, ld);
    rw_tile_product(part->rows, work->value, chunk->key, rows_of(work->q, work->key), state,
                    work->value, 1, out, ld);
    for (int t = 0; !in_place && t < part->rows; t++)
        memcpy(y + (size_t)t * (size_t)ldy, out + (size_t)t * (size_t)ld,
               sizeof(real) * (size_t)chunk->value);
}

void rw_linear_attention_forward(const rw_linear_attention *chunk, const real *state_in, real *y,
                                 int ldy, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    for (int head = 0; head < chunk->heads; head++) {
        factors(chunk, &work, head);
        load_state(chunk, &work, head, state_in, work.states);
        for (int i = 0; i < work.blocks; i++) {
            block part = block_at(chunk, &work, head, i);
            size_t first = (size_t)part.begin * (size_t)ldy + (size_t)head * (size_t)chunk->value;
            block_output(chunk, &work, &part, work.states, y + first, ldy);
            if (i + 1 < work.blocks) advance_state(chunk, &work, &part, work.states);
        }
    }
}

void rw_linear_attention_advance(int key, int value, rw_decay decay, const real *transition,
                                 int begin, int end, const real *x, const real *b, real *y)
{
    for (int row = begin * key; row < end * key; row++) {
        size_t first = (size_t)row * (size_t)value;
        real factor = 1;
        if (decay != RW_DECAY_NONE)
            factor = transition[decay == RW_DECAY_CHANNEL ? row : row / key];
        for (size_t i = first; i < first + (size_t)value; i++)
            y[i] = x ? b[i] + factor * x[i] : b[i];
    }
}

/* ---- Backward ------------------------------------------------------------------
 *
 * With P = q' k'^T and R = dy v^T, both lower triangles, G = dS_out of the block and
 * G' = diag(e_n) G:
 *
 *   dq' = R k' + dy S_in^T      dk' = R^T q' + v G'^T      dv = P^T dy + k' G'
 *   dS_in = q'^T dy + G'
 *
 * dlog a with decay by channel: kernels/linear_attention_pairs.h. */

void rw_linear_attention_adjoint(const rw_linear_attention *chunk, const real *dy, int lddy,
                                 real *dstate_in, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    for (int head = 0; head < chunk->heads; head++) {
        factors(chunk, &work, head);
        load_flipped(chunk, &work, head, NULL, work.dstate);
        for (int i = work.blocks - 1; i >= 0; i--) {
            block part = block_at(chunk, &work, head, i);
            decay_flipped(chunk, &work, part.keep, work.dstate);
            scale_q(chunk, &work, &part);
            add_to_flipped(chunk, &work, &part, block_rows(chunk, &part, dy, lddy), lddy, work.q,
                           work.dstate);
        }
        store_flipped(chunk, &work, head, work.dstate, dstate_in);
    }
}

/* A target = (or +=) scale factor d, element by element: d and factor (rows, wide). */
static void store_rows(const block *part, int n, int wide, real scale, const real *d,
                       const real *factor, const rw_linear_attention_target *target)
{
    for (int t = 0; target->out && t < part->rows; t++) {
        const real *restrict from = d + (size_t)t * (size_t)wide;
        const real *restrict by = factor + (size_t)t * (size_t)wide;
        real *restrict out = target->out + (size_t)(part->begin + t) * (size_t)target->ld +
                             (size_t)part->head * (size_t)n;
        for (int c = 0; c < n; c++) out[c] = (target->add ? out[c] : 0) + scale * by[c] * from[c];
    }
}

/* across_c = sum_j G'_cj S_in,cj, from the flipped ones. */
static void states_backward(const rw_linear_attention *chunk, const workspace *work,
                            const real *flipped)
{
    for (int c = 0; c < work->key; c += RW_LANES) {
        rw_vector sum = {0};
        for (size_t j = 0, at = (size_t)c; j < (size_t)chunk->value; j++, at += (size_t)work->key)
            sum += rw_lanes_load(work->dstate + at, 0) * rw_lanes_load(flipped + at, 0);
        rw_lanes_store(work->across + c, 0, sum);
    }
}

/* Uses the room of dk', which must have been used. */
static void gate_backward(const rw_linear_attention *chunk, const workspace *work,
                          const block *part, const rw_linear_attention_target *target)
{
    rw_dense_copy(part->rows, chunk->key, work->key, part->gate, chunk->gate_ld, work->dk);
    rw_decay_slopes(part->rows * work->key, work->dk);
    store_rows(part, chunk->key, work->key, 1, work->dlog, work->dk, target);
}

/* dv = P^T dy + k' G' */
static void value_backward(const rw_linear_attention *chunk, const workspace *work,
                           const block *part, const rw_linear_attention_target *target)
{
    bool in_place = work->value == chunk->value;
    real *dv = target->out + (size_t)part->begin * (size_t)target->ld +
               (size_t)part->head * (size_t)chunk->value;
    real *out = in_place ? dv : work->out;
    int ld = in_place ? target->ld : work->value;
    triangle(part->rows, chunk->key, work->q, work->key,
             flip(work, part->rows, chunk->key, BLOCK, work->k, work->key), work->scores);
    upper_product(part->rows, work->value, work->scores, work->v, in_place && target->add, out, ld);
    rw_tile_product(part->rows, work->value, chunk->key, rows_of(work->k, work->key),
                    flip(work, chunk->value, chunk->key, work->value, work->dstate, work->key),
                    work->value, 1, out, ld);
    for (int t = 0; !in_place && t < part->rows; t++)
        for (int j = 0; j < chunk->value; j++) {
            real *to = dv + (size_t)t * (size_t)target->ld + j;
            *to = (target->add ? *to : 0) + out[(size_t)t * (size_t)ld + (size_t)j];
        }
}

/* What the pairs of the block add to dq' and dk', and dlog a with decay by channel. */
static void pairs_backward(const rw_linear_attention *chunk, const workspace *work,
                           const block *part)
{
    const rw_linear_attention_pairs pairs = {part->rows, work->key,     work->q,
                                             work->k,    work->dscores, work->dq,
                                             work->dk,   work->dlog,    work->across};
    if (chunk->decay == RW_DECAY_CHANNEL) {
        rw_linear_attention_pairs_backward(&pairs);
        return;
    }
    lower_product(part->rows, work->key, work->dscores, work->k, 1, work->dq, work->key);
    upper_product(part->rows, work->key, work->dscores, work->q, 1, work->dk, work->key);
}

/* dq' and dk', once G' is in place. `flipped`: S_in of the block. */
static void panels_backward(const rw_linear_attention *chunk, const workspace *work,
                            const block *part, const real *flipped)
{
    int key = work->key, value = chunk->value, rows = part->rows;
    triangle(rows, value, work->v, work->value,
             flip(work, rows, value, BLOCK, part->v, chunk->v_ld), work->dscores);
    rw_tile_product(rows, key, value, rows_of(work->v, work->value), flipped, key, 0, work->dq,
                    key);
    rw_tile_product(rows, key, value, rows_of(part->v, chunk->v_ld), work->dstate, key, 0, work->dk,
                    key);
    if (chunk->decay == RW_DECAY_CHANNEL) states_backward(chunk, work, flipped);
    pairs_backward(chunk, work, part);
}

/* `flipped`: S_in of the block. */
static void block_backward(const rw_linear_attention *chunk, const workspace *work,
                           const block *part, const real *flipped, const real *dy, int lddy,
                           const rw_linear_attention_grad *grad)
{
    scale_q(chunk, work, part);
    scale_k(chunk, work, part);
    rw_dense_copy(part->rows, chunk->value, work->value, dy, lddy, work->v);
    decay_flipped(chunk, work, part->keep, work->dstate);
    panels_backward(chunk, work, part, flipped);
    if (grad->v.out) value_backward(chunk, work, part, &grad->v);
    store_rows(part, chunk->key, work->key, chunk->scale, work->dq, part->decay, &grad->q);
    store_rows(part, chunk->key, work->key, 1, work->dk, part->growth, &grad->k);
    if (grad->gate.out) gate_backward(chunk, work, part, &grad->gate);
    add_to_flipped(chunk, work, part, work->v, work->value, work->q, work->dstate);
}

/* The backward pass of a head: states of all blocks in increasing order, then the blocks in
 * decreasing order. */
static void head_backward(const rw_linear_attention *chunk, const workspace *work, int head,
                          const real *dy, int lddy, const rw_linear_attention_grad *grad)
{
    size_t matrix = (size_t)chunk->value * (size_t)work->key;
    for (int i = 0; i + 1 < work->blocks; i++) {
        block part = block_at(chunk, work, head, i);
        real *state = work->states + (size_t)i * matrix;
        memcpy(state + matrix, state, sizeof(real) * matrix);
        advance_flipped(chunk, work, &part, state + matrix);
    }
    for (int i = work->blocks - 1; i >= 0; i--) {
        block part = block_at(chunk, work, head, i);
        block_backward(chunk, work, &part, work->states + (size_t)i * matrix,
                       block_rows(chunk, &part, dy, lddy), lddy, grad);
    }
}

void rw_linear_attention_backward(const rw_linear_attention *chunk, const real *state_in,
                                  const real *dstate_out, const real *dy, int lddy,
                                  const rw_linear_attention_grad *grad, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    for (int head = 0; head < chunk->heads; head++) {
        factors(chunk, &work, head);
        load_flipped(chunk, &work, head, state_in, work.states);
        load_flipped(chunk, &work, head, dstate_out, work.dstate);
        head_backward(chunk, &work, head, dy, lddy, grad);
    }
}

double rw_linear_attention_flops(int rows, int heads, int key, int value, rw_decay decay)
{
    double flops = 0;
    for (int begin = 0; begin < rows; begin += BLOCK) {
        double n = rows - begin < BLOCK ? rows - begin : BLOCK, pairs = n * (n + 1) / 2;
        flops += pairs * 2 * (key + value);                              /* scores, scores v */
        flops += 4 * n * key * value;                                    /* the state, in and out */
        flops += 2 * n * key;                                            /* q', k' */
        if (decay != RW_DECAY_NONE) flops += (double)key * value;        /* diag(e_n) */
        if (decay == RW_DECAY_CHANNEL) flops += n * key * (2 * 16 + 16); /* 2 e^x, log(1 + u) */
    }
    return flops * heads;
}
