#include "kernels/ssd_chunk.h"

#include <string.h>

#include "kernels/dense.h"
#include "kernels/elementary.h"
#include "kernels/ssd_decay.h"
#include "kernels/tile_product.h"

#define BLOCK RW_SSD_BLOCK
#define STRIP RW_SSD_STRIP

/* Working arrays of a call, in the order of scratch. Every block of every head reuses the small
 * arrays, which stay in cache. */
typedef struct {
    int blocks, padded;               /* blocks of the chunk; their tokens */
    real *dt, *cum, *rest, *in, *out; /* (H, padded): kernels/ssd_decay.h */
    real *b, *c;                      /* (blocks, N, BLOCK): a token a column, zeros behind them */
    real *scores;                     /* (padded, BLOCK): C_t.B_s of the block of t */
    real *mix;                        /* (BLOCK, BLOCK): the factor of x; zero above the diagonal */
    real *scaled;                     /* (N, BLOCK): B or C of a block, each token scaled */
    real *x, *dy;                     /* (BLOCK, P): those of a block of a head, dense */
    real *states; /* (blocks, N, P): a head's state at the start of each block */
    /* Backward only: */
    real *dstate;   /* (N, P): d loss / d (a head's state at the end of a block) */
    real *dscores;  /* (padded, BLOCK) */
    real *db, *dc;  /* (blocks, N, BLOCK): the terms through the states, of all heads */
    real *pairs;    /* (BLOCK, BLOCK): dy_t.x_s */
    real *products; /* (N, BLOCK): h dy^T, then dstate x^T */
    real *flipped;  /* (P, BLOCK): the transpose of x or dy */
} workspace;

/* A block of a head. */
typedef struct {
    int head, begin, rows; /* begin: first token in the chunk */
    const real *x;         /* at the first token and the head's columns */
    const real *b, *c;     /* (N, BLOCK) */
    const real *dt;        /* (BLOCK), zeros behind the rows */
    const real *cum, *rest;
    const real *in, *out; /* (BLOCK): decays from the block's start, to its end */
    real decay;           /* e^{cum of the last row} */
} block;

static int padded_rows(int rows)
{
    return (rows + BLOCK - 1) / BLOCK * BLOCK;
}

/* Decays of a call, for each of its blocks, and of a block. */
size_t rw_ssd_scratch_reals(int rows, int heads, int head_width, int state)
{
    const size_t padded = (size_t)padded_rows(rows), blocks = padded / BLOCK;
    const size_t matrix = (size_t)state * (size_t)head_width, tokens = (size_t)state * BLOCK;
    return 5 * (size_t)heads * padded + 2 * padded * BLOCK + 2 * BLOCK * BLOCK + matrix +
           2 * tokens + 3 * BLOCK * (size_t)head_width + blocks * (matrix + 4 * tokens);
}

static real *take(real **at, size_t reals)
{
    real *taken = *at;
    *at += reals;
    return taken;
}

static workspace workspace_carve(const rw_ssd_chunk *chunk, real *at)
{
    workspace work = {.padded = padded_rows(chunk->rows)};
    const size_t padded = (size_t)work.padded, gates = (size_t)chunk->heads * padded;
    const size_t width = (size_t)chunk->head_width, states = (size_t)chunk->state;
    const size_t blocks = padded / BLOCK, tokens = states * BLOCK;
    work.blocks = (int)blocks;
    work.dt = take(&at, gates);
    work.cum = take(&at, gates);
    work.rest = take(&at, gates);
    work.in = take(&at, gates);
    work.out = take(&at, gates);
    work.b = take(&at, blocks * tokens);
    work.c = take(&at, blocks * tokens);
    work.scores = take(&at, padded * BLOCK);
    work.mix = take(&at, BLOCK * BLOCK);
    work.scaled = take(&at, tokens);
    work.x = take(&at, BLOCK * width);
    work.dy = take(&at, BLOCK * width);
    work.states = take(&at, blocks * states * width);
    work.dstate = take(&at, states * width);
    work.dscores = take(&at, padded * BLOCK);
    work.db = take(&at, blocks * tokens);
    work.dc = take(&at, blocks * tokens);
    work.pairs = take(&at, BLOCK * BLOCK);
    work.products = take(&at, tokens);
    work.flipped = take(&at, BLOCK * width);
    return work;
}

static rw_strided rows_of(const real *matrix, long ld)
{
    return (rw_strided){matrix, ld, 1};
}

static rw_strided columns_of(const real *matrix, long ld)
{
    return (rw_strided){matrix, 1, ld};
}

static int rows_left(const rw_ssd_chunk *chunk, int begin)
{
    return chunk->rows - begin < BLOCK ? chunk->rows - begin : BLOCK;
}

/* B or C with a token a column. */
static void by_columns(const rw_ssd_chunk *chunk, const real *from, real *to)
{
    for (int begin = 0; begin < chunk->rows; begin += BLOCK)
        rw_dense_transpose(rows_left(chunk, begin), chunk->state, BLOCK, 1,
                           from + (size_t)begin * (size_t)chunk->ld, chunk->ld,
                           to + (size_t)begin * (size_t)chunk->state);
}

/* x or dy of a block, loaded, with a token a column. */
static const real *flip(const rw_ssd_chunk *chunk, const workspace *work, int rows,
                        const real *loaded)
{
    rw_dense_transpose(rows, chunk->head_width, BLOCK, 1, loaded, chunk->head_width, work->flipped);
    return work->flipped;
}

/* Of all heads. */
static void step_sizes(const rw_ssd_chunk *chunk, const workspace *work)
{
    for (int h = 0; h < chunk->heads; h++) {
        const size_t first = (size_t)h * (size_t)work->padded;
        const rw_ssd_decays decays = {work->dt + first, work->cum + first, work->rest + first,
                                      work->in + first, work->out + first};
        rw_ssd_decays_make(chunk, h, work->padded, &decays);
    }
}

static int strip_rows(int rows, int begin)
{
    return rows - begin < STRIP ? rows - begin : STRIP;
}

/* out_ts = sum_k a_tk b_ks for s <= t and up to the end of the strip of t: out (rows, BLOCK),
 * a (rows, inner), lda, b (inner, BLOCK). What lies further right is not written, nor read. */
static void lower_product(int rows, int inner, const real *a, long lda, const real *b, real *out)
{
    for (int t = 0; t < rows; t += STRIP)
        rw_tile_product(strip_rows(rows, t), t + STRIP, inner, rows_of(a + t * lda, lda), b, BLOCK,
                        0, out + (size_t)t * BLOCK, BLOCK);
}

/* C_t.B_s inside each block: shared by the heads. Zero beyond the columns of a short block. */
static void block_scores(const rw_ssd_chunk *chunk, const workspace *work)
{
    for (int begin = 0; begin < chunk->rows; begin += BLOCK)
        lower_product(rows_left(chunk, begin), chunk->state,
                      chunk->c + (size_t)begin * (size_t)chunk->ld, chunk->ld,
                      work->b + (size_t)begin * (size_t)chunk->state,
                      work->scores + (size_t)begin * BLOCK);
}

static block block_at(const rw_ssd_chunk *chunk, const workspace *work, int head, int index)
{
    const int begin = index * BLOCK;
    const size_t tokens = (size_t)begin * (size_t)chunk->state;
    size_t first = (size_t)begin * chunk->ld, gate = (size_t)head * work->padded + begin;
    block part = {.head = head, .begin = begin, .rows = rows_left(chunk, begin)};
    part.x = chunk->x + first + (size_t)head * chunk->head_width;
    part.b = work->b + tokens;
    part.c = work->c + tokens;
    part.dt = work->dt + gate;
    part.cum = work->cum + gate;
    part.rest = work->rest + gate;
    part.in = work->in + gate;
    part.out = work->out + gate;
    part.decay = part.in[part.rows - 1];
    return part;
}

/* to = from (states, BLOCK), each column times its factor. */
static void scale_columns(int states, const real *restrict factor, const real *restrict from,
                          real *restrict to)
{
    for (int n = 0; n < states; n++, from += BLOCK, to += BLOCK)
        for (int t = 0; t < BLOCK; t++) to[t] = factor[t] * from[t];
}

/* e^{cum_n-cum_s} dt_s: the derivative of the share of token s in h_out. */
static void leaving_weights(const block *part, real weight[BLOCK])
{
    for (int s = 0; s < BLOCK; s++) weight[s] = part->out[s] * part->dt[s];
}

/* scaled = e^{cum_t} C_t: the factor of h_in. */
static void scale_c(const rw_ssd_chunk *chunk, const block *part, real *scaled)
{
    scale_columns(chunk->state, part->in, part->c, scaled);
}

/* scaled = e^{cum_n-cum_s} dt_s B_s: the share of token s in h_out. */
static void scale_b(const rw_ssd_chunk *chunk, const block *part, real *scaled)
{
    real weight[BLOCK];
    leaving_weights(part, weight);
    scale_columns(chunk->state, weight, part->b, scaled);
}

static void load_x(const rw_ssd_chunk *chunk, const workspace *work, const block *part)
{
    rw_dense_copy(part->rows, chunk->head_width, chunk->head_width, part->x, chunk->ld, work->x);
}

/* h = keep h + (scaled B) x for one block, whose x is loaded; overwrites scaled. */
static void advance_state(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                          real keep, real *h, int ldh)
{
    scale_b(chunk, part, work->scaled);
    rw_tile_product(chunk->state, chunk->head_width, part->rows, rows_of(work->scaled, BLOCK),
                    work->x, chunk->head_width, keep, h, ldh);
}

void rw_ssd_summary(const rw_ssd_chunk *chunk, real *transition, real *state, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    int width = chunk->heads * chunk->head_width;
    step_sizes(chunk, &work);
    by_columns(chunk, chunk->b, work.b);
    for (int h = 0; h < chunk->heads; h++) {
        double total = 0;
        for (int i = 0; i < work.blocks; i++) {
            block part = block_at(chunk, &work, h, i);
            load_x(chunk, &work, &part);
            advance_state(chunk, &work, &part, i ? part.decay : 0,
                          state + (size_t)h * chunk->head_width, width);
            total += (double)part.cum[part.rows - 1] + part.rest[part.rows - 1];
        }
        transition[h] = (real)exp(total);
    }
}

/* mix_ts = e^{cum_t-cum_s} (C_t.B_s) dt_s for s <= t, plus skip on the diagonal.
 * Rows are written up to the strip of the diagonal. */
static void fill_mix(const block *part, const real *scores, real skip, real *mix)
{
    const real *restrict dt = part->dt;
    real e[STRIP];
    for (int t = 0; t < part->rows; t++) {
        const real *restrict score = scores + (size_t)t * BLOCK;
        real *restrict out = mix + (size_t)t * BLOCK;
        for (int begin = 0; begin <= t; begin += STRIP) {
            rw_ssd_decay_strip(part->cum, part->rest, t, begin, e);
#pragma omp simd
            for (int s = 0; s < STRIP; s++)
                out[begin + s] = e[s] * score[begin + s] * dt[begin + s];
        }
        out[t] += skip;
    }
}

/* The state of a head, (N, P) dense, from the columns of one of all heads. */
static void load_state(const rw_ssd_chunk *chunk, int head, const real *from, real *to)
{
    size_t width = (size_t)chunk->head_width, ld = width * (size_t)chunk->heads;
    if (!from) {
        memset(to, 0, sizeof(real) * (size_t)chunk->state * width);
        return;
    }
    for (int n = 0; n < chunk->state; n++)
        memcpy(to + (size_t)n * width, from + (size_t)n * ld + (size_t)head * width,
               sizeof(real) * width);
}

/* y of one block: mix x, then (scaled C)^T h. */
static void block_output(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                         const real *h, real *y, int ldy)
{
    int width = chunk->head_width;
    real *out = y + (size_t)part->begin * ldy + (size_t)part->head * width;
    fill_mix(part, work->scores + (size_t)part->begin * BLOCK, chunk->skip[part->head], work->mix);
    load_x(chunk, work, part);
    for (int t = 0; t < part->rows; t += STRIP) {
        int rows = strip_rows(part->rows, t);
        rw_tile_product(rows, width, t + rows, rows_of(work->mix + t * BLOCK, BLOCK), work->x,
                        width, 0, out + (size_t)t * ldy, ldy);
    }
    scale_c(chunk, part, work->scaled);
    rw_tile_product(part->rows, width, chunk->state, columns_of(work->scaled, BLOCK), h, width, 1,
                    out, ldy);
}

void rw_ssd_forward(const rw_ssd_chunk *chunk, const real *state_in, real *y, int ldy,
                    real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    step_sizes(chunk, &work);
    by_columns(chunk, chunk->b, work.b);
    by_columns(chunk, chunk->c, work.c);
    memset(work.mix, 0, sizeof(real) * BLOCK * BLOCK);
    block_scores(chunk, &work);
    for (int head = 0; head < chunk->heads; head++) {
        load_state(chunk, head, state_in, work.states);
        for (int i = 0; i < work.blocks; i++) {
            block part = block_at(chunk, &work, head, i);
            block_output(chunk, &work, &part, work.states, y, ldy);
            if (i + 1 < work.blocks)
                advance_state(chunk, &work, &part, part.decay, work.states, chunk->head_width);
        }
    }
}

static void load_dy(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                    const real *dy, int lddy)
{
    const real *from = dy + (size_t)part->begin * lddy + (size_t)part->head * chunk->head_width;
    rw_dense_copy(part->rows, chunk->head_width, chunk->head_width, from, lddy, work->dy);
}

/* dstate = keep dstate + (scaled C) dy for one block, whose dy is loaded; overwrites
 * scaled. */
static void retreat_state(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                          real keep, real *dstate, int ld)
{
    scale_c(chunk, part, work->scaled);
    rw_tile_product(chunk->state, chunk->head_width, part->rows, rows_of(work->scaled, BLOCK),
                    work->dy, chunk->head_width, keep, dstate, ld);
}

void rw_ssd_adjoint(const rw_ssd_chunk *chunk, const real *dy, int lddy, real *dstate_in,
                    real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    int width = chunk->heads * chunk->head_width;
    step_sizes(chunk, &work);
    by_columns(chunk, chunk->c, work.c);
    for (int head = 0; head < chunk->heads; head++)
        for (int i = work.blocks - 1; i >= 0; i--) {
            block part = block_at(chunk, &work, head, i);
            load_dy(chunk, &work, &part, dy, lddy);
            retreat_state(chunk, &work, &part, i + 1 < work.blocks ? part.decay : 0,
                          dstate_in + (size_t)head * chunk->head_width, width);
        }
}

/* Backward. With M_ts = e^{cum_t-cum_s} C_t.B_s, g = dstate_out of the block and
 * w_s = e^{cum_n-cum_s} dt_s, all per head, every gradient comes from three small
 * products: pairs K = dy x^T, dy h_in^T and x g^T.
 *
 *   d(C_t.B_s) += e^{cum_t-cum_s} dt_s K_ts           (summed over heads: dscores)
 *   dC_t += e^{cum_t} h_in dy_t + sum_s dscores_ts B_s
 *   dB_s += w_s g x_s           + sum_t dscores_ts C_t
 *   dx_s  = sum_t M_ts dt_s dy_t + w_s g^T B_s + skip dy_s
 *   from_s = sum_t M_ts K_ts + e^{cum_n-cum_s} B_s.(g x_s)          (= x_s.d(dt_s x_s))
 *   da_r  = sum_{s<r<=t} M_ts dt_s K_ts       what goes from a token before r to one not before
 *           + sum_{t>=r} e^{cum_t} C_t.(h_in dy_t)            from h_in to a token not before r
 *           + sum_{s<r} w_s B_s.(g x_s)                          from a token before r to h_out
 *           + e^{cum_n} <g, h_in>                                           from h_in to h_out
 *   ddt_t = from_t + A da_t     dA = sum dt_t da_t
 *
 * The shorter da_r = sum_{t>=r} dcum_t, where dcum_t is what ends at t less what begins there,
 * has everything behind r twice, with both signs; where the decay of r is strong, little is
 * left but the rounding (docs/decisions/0025-decay-gradients.md). */

/* What the tokens of a block collect. from: see above. pairs: the first term of da. enters,
 * leaves: the terms of the other sums. through: the last one. */
typedef struct {
    real from[BLOCK], pairs[BLOCK], enters[BLOCK], leaves[BLOCK], through;
} token_sums;

/* Sums in strips: as many independent sums, added up pairwise. */
static real strip_total(real *lanes)
{
    for (int half = STRIP / 2; half >= 1; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

static real dot(const real *restrict a, const real *restrict b, int count)
{
    real lanes[STRIP] = {0};
    int i = 0;
    for (; i + STRIP <= count; i += STRIP)
#pragma omp simd
        for (int k = 0; k < STRIP; k++) lanes[k] += a[i + k] * b[i + k];
    for (int k = 0; i + k < count; k++) lanes[k] += a[i + k] * b[i + k];
    return strip_total(lanes);
}

/* A row of the pairs inside the block, s < t; fills mix too. from_s has the pairs of s and
 * the rows from t on. Returns the sum of those with s < t: what goes past t. */
static real pair_row(const block *part, const workspace *work, int t, real *restrict from)
{
    const size_t row = (size_t)t * BLOCK, first = (size_t)part->begin * BLOCK + row;
    const real *restrict score = work->scores + first, *restrict pair = work->pairs + row;
    real *restrict dscore = work->dscores + first, *restrict mix = work->mix + row;
    const real *restrict dts = part->dt;
    real e[STRIP], lanes[STRIP] = {0};
    for (int begin = 0; begin <= t; begin += STRIP) {
        rw_ssd_decay_strip(part->cum, part->rest, t, begin, e);
        if (t - begin < STRIP) e[t - begin] = 0;
#pragma omp simd
        for (int i = 0; i < STRIP; i++) {
            const int s = begin + i;
            const real dt = dts[s], m = e[i] * score[s], sum = from[s] + m * pair[s];
            mix[s] = m * dt;
            dscore[s] += e[i] * pair[s] * dt;
            from[s] = sum;
            lanes[i] += s < t ? sum * dt : 0;
        }
    }
    return strip_total(lanes);
}

/* Everything that comes from the pairs t >= s inside the block, last row first; also fills
 * mix. */
static void pairs_backward(const block *part, const workspace *work, real skip,
                           token_sums *restrict sums)
{
    memset(sums, 0, sizeof *sums);
    for (int t = part->rows - 1; t >= 0; t--) {
        const size_t own = (size_t)t * BLOCK + (size_t)t, first = (size_t)part->begin * BLOCK;
        const real score = work->scores[first + own], pair = work->pairs[own];
        sums->pairs[t] = pair_row(part, work, t, sums->from);
        work->mix[own] = score * part->dt[t] + skip;
        work->dscores[first + own] += pair * part->dt[t];
        sums->from[t] += score * pair;
    }
}

/* Of a product with the states: along_t = key_t.product_t, dkey_t += weight_t product_t. key is B
 * or C of the block. */
static void states_backward(int states, const real *restrict product, const real *restrict key,
                            const real *restrict weight, real *restrict dkey, real *restrict along)
{
    memset(along, 0, BLOCK * sizeof *along);
    for (int n = 0; n < states; n++, product += BLOCK, key += BLOCK, dkey += BLOCK)
        for (int t = 0; t < BLOCK; t++) {
            along[t] += key[t] * product[t];
            dkey[t] += weight[t] * product[t];
        }
}

/* Part of dC, and `enters`, e^{cum_t} C_t.(h_in dy_t). */
static void state_in_backward(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                              const real *h, token_sums *sums)
{
    const int states = chunk->state, width = chunk->head_width;
    rw_tile_product(states, BLOCK, width, rows_of(h, width),
                    flip(chunk, work, part->rows, work->dy), BLOCK, 0, work->products, BLOCK);
    states_backward(states, work->products, part->c, part->in,
                    work->dc + (size_t)part->begin * (size_t)states, sums->enters);
    for (int t = 0; t < BLOCK; t++) sums->enters[t] *= part->in[t];
}

/* Part of dB, from, what leaves and what goes through: h_out = decay h_in + sum_s w_s B_s x_s^T. x
 * is flipped. */
static void state_out_backward(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                               const real *h, token_sums *sums)
{
    const int states = chunk->state, width = chunk->head_width;
    real weight[BLOCK], along[BLOCK];
    sums->through = part->decay * dot(work->dstate, h, states * width);
    leaving_weights(part, weight);
    rw_tile_product(states, BLOCK, width, rows_of(work->dstate, width), work->flipped, BLOCK, 0,
                    work->products, BLOCK);
    states_backward(states, work->products, part->b, weight,
                    work->db + (size_t)part->begin * (size_t)states, along);
    for (int s = 0; s < BLOCK; s++) {
        sums->from[s] += part->out[s] * along[s];
        sums->leaves[s] = weight[s] * along[s];
    }
}

/* dx = mix^T dy + (scaled B)^T g. */
static void input_backward(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                           const rw_ssd_grad *grad)
{
    int width = chunk->head_width;
    real *dx = grad->x + (size_t)part->begin * grad->ld + (size_t)part->head * width;
    for (int s = 0; s < part->rows; s += STRIP) {
        int rows = strip_rows(part->rows, s);
        rw_tile_product(rows, width, part->rows - s, columns_of(work->mix + s * BLOCK + s, BLOCK),
                        work->dy + (size_t)s * width, width, grad->add, dx + (size_t)s * grad->ld,
                        grad->ld);
    }
    scale_b(chunk, part, work->scaled);
    rw_tile_product(part->rows, width, chunk->state, columns_of(work->scaled, BLOCK), work->dstate,
                    width, 1, dx, grad->ld);
}

/* da of the tokens of a block; what goes through begins and ends outside of it. */
static void transition_slopes(int rows, const token_sums *sums, double *da)
{
    double before = sums->through, behind = 0;
    for (int t = 0; t < rows; t++) {
        da[t] = before + sums->pairs[t];
        before += sums->leaves[t];
    }
    for (int t = rows - 1; t >= 0; t--) {
        behind += sums->enters[t];
        da[t] += behind;
    }
}

/* Turns the gradients of the tokens into gradients of raw, dt_bias and a_log. */
static void gates_backward(const rw_ssd_chunk *chunk, const block *part, const token_sums *sums,
                           const rw_ssd_grad *grad)
{
    int head = part->head;
    real a = rw_ssd_transition(chunk, head);
    double da[BLOCK], dtransition = 0, dbias = 0;
    transition_slopes(part->rows, sums, da);
    for (int t = part->rows - 1; t >= 0; t--) {
        size_t token = (size_t)(part->begin + t);
        real raw = chunk->raw[token * chunk->raw_ld + head] + chunk->dt_bias[head];
        dtransition += part->dt[t] * da[t];
        real draw = (real)(sums->from[t] + a * da[t]) * rw_sigmoid(raw);
        dbias += draw;
        if (!grad->raw) continue;
        real *out = grad->raw + token * grad->raw_ld + head;
        *out = grad->raw_add ? *out + draw : draw;
    }
    grad->dt_bias[head] += (real)dbias;
    grad->a_log[head] += (real)(dtransition * a);
}

/* One block of one head, whose x and dy are loaded. */
static void block_backward(const rw_ssd_chunk *chunk, const workspace *work, const block *part,
                           const real *h, const rw_ssd_grad *grad)
{
    const int width = chunk->head_width;
    token_sums sums;
    real trace = 0;
    lower_product(part->rows, width, work->dy, width, flip(chunk, work, part->rows, work->x),
                  work->pairs);
    pairs_backward(part, work, chunk->skip[part->head], &sums);
    state_out_backward(chunk, work, part, h, &sums);
    state_in_backward(chunk, work, part, h, &sums);
    if (grad->x) input_backward(chunk, work, part, grad);
    gates_backward(chunk, part, &sums, grad);
    for (int t = 0; t < part->rows; t++) trace += work->pairs[(size_t)t * BLOCK + t];
    grad->skip[part->head] += trace;
}

/* Rows (rows, N) of dB or dC: the terms through the states. */
static void put_rows(const workspace *work, int rows, int states, const real *columns, bool add,
                     real *out, long ld)
{
    rw_dense_transpose(states, BLOCK, states, 1, columns, BLOCK, work->products);
    for (int t = 0; t < rows; t++) {
        const real *restrict from = work->products + (size_t)t * (size_t)states;
        real *restrict to = out + t * ld;
        for (int n = 0; n < states; n++) to[n] = add ? to[n] + from[n] : from[n];
    }
}

/* dB and dC of the tokens of a block by way of their scores. */
static void scores_of_block(const rw_ssd_chunk *chunk, int rows, const real *dscores, const real *b,
                            const real *c, real *db, real *dc, long ld)
{
    for (int t = 0; t < rows; t += STRIP) {
        const int height = strip_rows(rows, t);
        rw_tile_product(height, chunk->state, t + height, rows_of(dscores + t * BLOCK, BLOCK), b,
                        chunk->ld, 1, dc + t * ld, ld);
        rw_tile_product(height, chunk->state, rows - t, columns_of(dscores + t * BLOCK + t, BLOCK),
                        c + t * (long)chunk->ld, chunk->ld, 1, db + t * ld, ld);
    }
}

/* dB and dC of all heads. */
static void keys_backward(const rw_ssd_chunk *chunk, const workspace *work, const rw_ssd_grad *grad)
{
    for (int begin = 0; begin < chunk->rows; begin += BLOCK) {
        const int rows = rows_left(chunk, begin);
        const size_t tokens = (size_t)begin * (size_t)chunk->state;
        const size_t first = (size_t)begin * chunk->ld, out = (size_t)begin * grad->ld;
        put_rows(work, rows, chunk->state, work->db + tokens, grad->add, grad->b + out, grad->ld);
        put_rows(work, rows, chunk->state, work->dc + tokens, grad->add, grad->c + out, grad->ld);
        scores_of_block(chunk, rows, work->dscores + (size_t)begin * BLOCK, chunk->b + first,
                        chunk->c + first, grad->b + out, grad->c + out, grad->ld);
    }
}

/* The backward pass of a head: states of all blocks in increasing order, then the blocks in
 * decreasing order. */
static void head_backward(const rw_ssd_chunk *chunk, const workspace *work, int head,
                          const real *state_in, const real *dstate_out, const real *dy, int lddy,
                          const rw_ssd_grad *grad)
{
    size_t matrix = (size_t)chunk->state * chunk->head_width;
    load_state(chunk, head, state_in, work->states);
    load_state(chunk, head, dstate_out, work->dstate);
    for (int i = 0; i + 1 < work->blocks; i++) {
        block part = block_at(chunk, work, head, i);
        real *h = work->states + (size_t)i * matrix;
        memcpy(h + matrix, h, sizeof(real) * matrix);
        load_x(chunk, work, &part);
        advance_state(chunk, work, &part, part.decay, h + matrix, chunk->head_width);
    }
    for (int i = work->blocks - 1; i >= 0; i--) {
        block part = block_at(chunk, work, head, i);
        load_x(chunk, work, &part);
        load_dy(chunk, work, &part, dy, lddy);
        block_backward(chunk, work, &part, work->states + (size_t)i * matrix, grad);
        if (i > 0) retreat_state(chunk, work, &part, part.decay, work->dstate, chunk->head_width);
    }
}

void rw_ssd_backward(const rw_ssd_chunk *chunk, const real *state_in, const real *dstate_out,
                     const real *dy, int lddy, const rw_ssd_grad *grad, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    const size_t padded = (size_t)work.padded, tokens = padded * (size_t)chunk->state;
    step_sizes(chunk, &work);
    by_columns(chunk, chunk->b, work.b);
    by_columns(chunk, chunk->c, work.c);
    memset(work.dscores, 0, sizeof(real) * padded * BLOCK);
    memset(work.db, 0, sizeof(real) * tokens);
    memset(work.dc, 0, sizeof(real) * tokens);
    memset(work.mix, 0, sizeof(real) * BLOCK * BLOCK);
    block_scores(chunk, &work);
    for (int head = 0; head < chunk->heads; head++)
        head_backward(chunk, &work, head, state_in, dstate_out, dy, lddy, grad);
    if (grad->b) keys_backward(chunk, &work, grad);
}

double rw_ssd_flops(int rows, int heads, int head_width, int state)
{
    double flops = 0, width = (double)heads * head_width;
    for (int begin = 0; begin < rows; begin += BLOCK) {
        double n = rows - begin < BLOCK ? rows - begin : BLOCK, pairs = n * (n + 1) / 2;
        flops += pairs * (2.0 * state + 2.0 * heads + 2 * width); /* scores, mix, mix x */
        flops += 2 * n * heads * state;                           /* scaled B and C */
        flops += 4 * n * state * width;                           /* into and out of the state */
        flops += state * width;                                   /* its decay */
    }
    return flops;
}
