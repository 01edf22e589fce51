#include "kernels/linear_attention_chunk.h"

#include <math.h>
#include <string.h>

#include "kernels/elementary.h"
#include "kernels/gemm.h"
#include "kernels/row_sum.h"

#define BLOCK       RW_LINEAR_ATTENTION_BLOCK
#define TEMPERATURE 16 /* log a = log sigmoid(gate) / 16 */

/* Working arrays of one call, in the order in which they lie in scratch; those of
 * one block of one head stay in cache. */
typedef struct {
    int blocks;      /* of the chunk */
    real *up, *down; /* (BLOCK, K): scale e_t and 1 / e_t */
    real *keep;      /* (K): e_n */
    real *q, *k;     /* (BLOCK, K): q', k' */
    real *scores;    /* (BLOCK, BLOCK): q'_t.k'_s, zero above the diagonal */
    real *states;    /* (blocks + 1, K, V): a head's state at the start of each block */
    /* Backward only: */
    real *dstate;  /* (K, V): d loss / d (a head's state at the end of a block) */
    real *dscores; /* (BLOCK, BLOCK): dy_t.v_s, zero above the diagonal */
    real *dq, *dk; /* (BLOCK, K): with respect to q', k' */
    real *end;     /* (K): with respect to log e_n, by way of S_out */
} workspace;

/* One block of one head. */
typedef struct {
    int head, begin, rows; /* begin: first token in the chunk */
    const real *q, *k, *v, *gate;
} block;

static int block_count(int rows)
{
    return (rows + BLOCK - 1) / BLOCK;
}

size_t rw_linear_attention_scratch(int rows, int key, int value)
{
    size_t matrix = (size_t)key * (size_t)value;
    return (6 * BLOCK + 2) * (size_t)key + 2 * BLOCK * BLOCK +
           ((size_t)block_count(rows) + 2) * matrix;
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
    size_t key = (size_t)chunk->key, matrix = key * (size_t)chunk->value;
    workspace work = {.blocks = block_count(chunk->rows)};
    size_t panel = BLOCK * key;
    work.up = carve(&scratch, panel);
    work.down = carve(&scratch, panel);
    work.keep = carve(&scratch, key);
    work.q = carve(&scratch, panel);
    work.k = carve(&scratch, panel);
    work.scores = carve(&scratch, BLOCK * BLOCK);
    work.states = carve(&scratch, ((size_t)work.blocks + 1) * matrix);
    work.dstate = carve(&scratch, matrix);
    work.dscores = carve(&scratch, BLOCK * BLOCK);
    work.dq = carve(&scratch, panel);
    work.dk = carve(&scratch, panel);
    work.end = carve(&scratch, key);
    return work;
}

static block block_at(const rw_linear_attention *chunk, int head, int index)
{
    int begin = index * BLOCK, left = chunk->rows - begin;
    size_t row = (size_t)begin, key = (size_t)head * (size_t)chunk->key;
    block part = {.head = head, .begin = begin, .rows = left < BLOCK ? left : BLOCK};
    part.q = chunk->q + row * (size_t)chunk->q_ld + key;
    part.k = chunk->k + row * (size_t)chunk->k_ld + key;
    part.v = chunk->v + row * (size_t)chunk->v_ld + (size_t)head * (size_t)chunk->value;
    if (chunk->decay == RW_DECAY_CHANNEL)
        part.gate = chunk->gate + row * (size_t)chunk->gate_ld + key;
    return part;
}

static const real *block_rows(const rw_linear_attention *chunk, const block *part, const real *x,
                              int ld)
{
    return x + (size_t)part->begin * (size_t)ld + (size_t)part->head * (size_t)chunk->value;
}

/* ---- Decay ------------------------------------------------------------------ */

static double head_log_decay(int head)
{
    return log1p(-exp2(-5 - head));
}

/* -log sigmoid(gate) / 16, before the floor is applied. */
static inline real gate_rate(real gate)
{
    return rw_softplus_value(-gate) / TEMPERATURE;
}

/* up += log a of one token, of n channels. */
static void add_log_decays(int n, const real *restrict gate, real *restrict up)
{
    for (int c = 0; c < n; c++) {
        real log_decay = -gate_rate(gate[c]);
        up[c] += log_decay > RW_LINEAR_ATTENTION_FLOOR ? log_decay : RW_LINEAR_ATTENTION_FLOOR;
    }
}

static void exponentials(int n, real scale, real *restrict up, real *restrict down)
{
    for (int i = 0; i < n; i++) down[i] = rw_exp(-up[i]);
    for (int i = 0; i < n; i++) up[i] = scale * rw_exp(up[i]);
}

static void channel_factors(const rw_linear_attention *chunk, const block *part,
                            const workspace *work)
{
    size_t key = (size_t)chunk->key, last = (size_t)(part->rows - 1) * key;
    memset(work->up, 0, sizeof(real) * key);
    for (size_t t = 0; t < (size_t)part->rows; t++) {
        real *sum = work->up + t * key;
        if (t > 0) memcpy(sum, sum - key, sizeof(real) * key);
        add_log_decays(chunk->key, part->gate + t * (size_t)chunk->gate_ld, sum);
    }
    for (size_t c = 0; c < key; c++) work->keep[c] = rw_exp(work->up[last + c]);
    exponentials(part->rows * chunk->key, chunk->scale, work->up, work->down);
}

static void fill(int n, real value, real *out)
{
    for (int i = 0; i < n; i++) out[i] = value;
}

/* up, down and keep of a block. */
static void factors(const rw_linear_attention *chunk, const block *part, const workspace *work)
{
    if (chunk->decay == RW_DECAY_CHANNEL) {
        channel_factors(chunk, part, work);
        return;
    }
    double rate = chunk->decay == RW_DECAY_HEAD ? head_log_decay(part->head) : 0;
    for (int t = 0; t < part->rows; t++) {
        double decay = exp((t + 1) * rate);
        fill(chunk->key, (real)(chunk->scale * decay), work->up + (size_t)t * (size_t)chunk->key);
        fill(chunk->key, (real)(1 / decay), work->down + (size_t)t * (size_t)chunk->key);
        if (t == part->rows - 1) fill(chunk->key, (real)decay, work->keep);
    }
}

/* to = factor x, element by element; factor and to are (rows, n) dense. */
static void scale_rows(int rows, int n, const real *x, int ld, const real *factor, real *to)
{
    for (int t = 0; t < rows; t++) {
        const real *restrict from = x + (size_t)t * (size_t)ld;
        const real *restrict by = factor + (size_t)t * (size_t)n;
        real *restrict out = to + (size_t)t * (size_t)n;
        for (int c = 0; c < n; c++) out[c] = by[c] * from[c];
    }
}

static void scale_q(const rw_linear_attention *chunk, const block *part, const workspace *work)
{
    scale_rows(part->rows, chunk->key, part->q, chunk->q_ld, work->up, work->q);
}

static void scale_k(const rw_linear_attention *chunk, const block *part, const workspace *work)
{
    scale_rows(part->rows, chunk->key, part->k, chunk->k_ld, work->down, work->k);
}

/* state = diag(keep) state */
static void decay_state(const rw_linear_attention *chunk, const workspace *work, real *state)
{
    if (chunk->decay == RW_DECAY_NONE) return;
    for (int c = 0; c < chunk->key; c++) {
        real *restrict row = state + (size_t)c * (size_t)chunk->value;
        for (int j = 0; j < chunk->value; j++) row[j] *= work->keep[c];
    }
}

static void load_state(const rw_linear_attention *chunk, int head, const real *from, real *to)
{
    size_t matrix = (size_t)chunk->key * (size_t)chunk->value;
    if (from)
        memcpy(to, from + (size_t)head * matrix, sizeof(real) * matrix);
    else
        memset(to, 0, sizeof(real) * matrix);
}

/* ---- Forward ------------------------------------------------------------------ */

/* From the state at the start of a block to that at its end; k' is in place. */
static void advance_state(const rw_linear_attention *chunk, const block *part,
                          const workspace *work, real *state)
{
    rw_gemm(true, false, chunk->key, chunk->value, part->rows, 1, work->k, chunk->key, part->v,
            chunk->v_ld, 1, state, chunk->value);
    decay_state(chunk, work, state);
}

/* The lower triangle of a b^T, a and b (rows, n). */
static void triangle(int rows, int n, const real *a, int lda, const real *b, int ldb, real *out)
{
    rw_gemm(false, true, rows, rows, n, 1, a, lda, b, ldb, 0, out, BLOCK);
    for (int t = 0; t + 1 < rows; t++)
        memset(out + (size_t)t * BLOCK + t + 1, 0, sizeof(real) * (size_t)(rows - t - 1));
}

static void block_output(const rw_linear_attention *chunk, const block *part, const workspace *work,
                         const real *state, real *y, int ldy)
{
    int key = chunk->key, value = chunk->value;
    triangle(part->rows, key, work->q, key, work->k, key, work->scores);
    rw_gemm(false, false, part->rows, value, part->rows, 1, work->scores, BLOCK, part->v,
            chunk->v_ld, 0, y, ldy);
    rw_gemm(false, false, part->rows, value, key, 1, work->q, key, state, value, 1, y, ldy);
}

void rw_linear_attention_forward(const rw_linear_attention *chunk, const real *state_in, real *y,
                                 int ldy, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    for (int head = 0; head < chunk->heads; head++) {
        load_state(chunk, head, state_in, work.states);
        for (int i = 0; i < work.blocks; i++) {
            block part = block_at(chunk, head, i);
            size_t first = (size_t)part.begin * (size_t)ldy + (size_t)head * (size_t)chunk->value;
            factors(chunk, &part, &work);
            scale_q(chunk, &part, &work);
            scale_k(chunk, &part, &work);
            block_output(chunk, &part, &work, work.states, y + first, ldy);
            if (i + 1 < work.blocks) advance_state(chunk, &part, &work, work.states);
        }
    }
}

void rw_linear_attention_summary(const rw_linear_attention *chunk, real *map, real *state,
                                 real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    int key = chunk->key;
    for (int head = 0; head < chunk->heads; head++) {
        real *own = state + (size_t)head * (size_t)key * (size_t)chunk->value;
        load_state(chunk, head, NULL, own);
        for (int i = 0; i < work.blocks; i++) {
            block part = block_at(chunk, head, i);
            factors(chunk, &part, &work);
            scale_k(chunk, &part, &work);
            advance_state(chunk, &part, &work, own);
            for (int c = 0; chunk->decay == RW_DECAY_CHANNEL && c < key; c++)
                map[head * key + c] = work.keep[c] * (i ? map[head * key + c] : 1);
        }
        if (chunk->decay == RW_DECAY_HEAD)
            map[head] = (real)exp(chunk->rows * head_log_decay(head));
    }
}

void rw_linear_attention_advance(int key, int value, rw_decay decay, const real *map, int begin,
                                 int end, const real *x, const real *b, real *y)
{
    for (int row = begin * key; row < end * key; row++) {
        size_t first = (size_t)row * (size_t)value;
        real factor = 1;
        if (decay != RW_DECAY_NONE) factor = map[decay == RW_DECAY_CHANNEL ? row : row / key];
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
 *   dlog e_t = q'_t dq'_t - k'_t dk'_t     (element by element), and for the last token
 *   dlog e_n += sum_j G_cj S_out,cj         dlog a_t = sum_{t'>=t} dlog e_t' */

/* dstate = diag(e_n) dstate + q'^T dy; q' is in place. */
static void retreat_state(const rw_linear_attention *chunk, const block *part,
                          const workspace *work, const real *dy, int lddy, real *dstate)
{
    decay_state(chunk, work, dstate);
    rw_gemm(true, false, chunk->key, chunk->value, part->rows, 1, work->q, chunk->key, dy, lddy, 1,
            dstate, chunk->value);
}

void rw_linear_attention_adjoint(const rw_linear_attention *chunk, const real *dy, int lddy,
                                 real *dstate_in, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    for (int head = 0; head < chunk->heads; head++) {
        real *own = dstate_in + (size_t)head * (size_t)chunk->key * (size_t)chunk->value;
        load_state(chunk, head, NULL, own);
        for (int i = work.blocks - 1; i >= 0; i--) {
            block part = block_at(chunk, head, i);
            factors(chunk, &part, &work);
            scale_q(chunk, &part, &work);
            retreat_state(chunk, &part, &work, block_rows(chunk, &part, dy, lddy), lddy, own);
        }
    }
}

/* dx = factor d, d with respect to factor x. */
static void unscale(const block *part, int n, const real *d, const real *factor,
                    const rw_linear_attention_target *target)
{
    for (int t = 0; target->out && t < part->rows; t++) {
        const real *restrict from = d + (size_t)t * (size_t)n;
        const real *restrict by = factor + (size_t)t * (size_t)n;
        real *restrict out = target->out + (size_t)(part->begin + t) * (size_t)target->ld +
                             (size_t)part->head * (size_t)n;
        for (int c = 0; c < n; c++) out[c] = (target->add ? out[c] : 0) + by[c] * from[c];
    }
}

/* dlog a of one token over dq, from the sum over those behind it. */
static void log_decay_row(int n, const real *restrict q, real *restrict dq, const real *restrict k,
                          const real *restrict dk, real *restrict sum)
{
    for (int c = 0; c < n; c++) {
        sum[c] += q[c] * dq[c] - k[c] * dk[c];
        dq[c] = sum[c];
    }
}

/* The floor is met at a gate of 16 times it, where log sigmoid is the gate to 1e-7. */
static void gate_slope_row(int n, const real *restrict gate, real *restrict slope)
{
    for (int c = 0; c < n; c++) {
        real free = gate[c] > TEMPERATURE * RW_LINEAR_ATTENTION_FLOOR ? 1 : 0;
        slope[c] = free * rw_sigmoid(-gate[c]) / TEMPERATURE;
    }
}

/* Takes the place of dq' and of the factors, which must have been used. The sums are
 * over the tokens of a block only: dq' and dk' are sums of as many terms. */
static void gate_backward(const rw_linear_attention *chunk, const block *part,
                          const workspace *work, const rw_linear_attention_target *target)
{
    size_t key = (size_t)chunk->key;
    for (int t = part->rows - 1; t >= 0; t--) {
        size_t row = (size_t)t * key;
        log_decay_row(chunk->key, work->q + row, work->dq + row, work->k + row, work->dk + row,
                      work->end);
        gate_slope_row(chunk->key, part->gate + (size_t)t * (size_t)chunk->gate_ld, work->up + row);
    }
    unscale(part, chunk->key, work->dq, work->up, target);
}

static void value_backward(const rw_linear_attention *chunk, const block *part,
                           const workspace *work, const real *dy, int lddy,
                           const rw_linear_attention_target *target)
{
    int key = chunk->key, value = chunk->value;
    real *dv =
        target->out + (size_t)part->begin * (size_t)target->ld + (size_t)part->head * (size_t)value;
    rw_gemm(true, false, part->rows, value, part->rows, 1, work->scores, BLOCK, dy, lddy,
            target->add, dv, target->ld);
    rw_gemm(false, false, part->rows, value, key, 1, work->k, key, work->dstate, value, 1, dv,
            target->ld);
}

/* `states`: S_in of the block, then S_out. */
static void block_backward(const rw_linear_attention *chunk, const block *part,
                           const workspace *work, const real *states, const real *dy, int lddy,
                           const rw_linear_attention_grad *grad)
{
    int key = chunk->key, value = chunk->value, rows = part->rows;
    size_t matrix = (size_t)key * (size_t)value;
    for (int c = 0; grad->gate.out && c < key; c++)
        work->end[c] = rw_row_dot(value, work->dstate + (size_t)c * (size_t)value,
                                  states + matrix + (size_t)c * (size_t)value);
    decay_state(chunk, work, work->dstate);
    triangle(rows, value, dy, lddy, part->v, chunk->v_ld, work->dscores);
    rw_gemm(false, false, rows, key, rows, 1, work->dscores, BLOCK, work->k, key, 0, work->dq, key);
    rw_gemm(false, true, rows, key, value, 1, dy, lddy, states, value, 1, work->dq, key);
    rw_gemm(true, false, rows, key, rows, 1, work->dscores, BLOCK, work->q, key, 0, work->dk, key);
    rw_gemm(false, true, rows, key, value, 1, part->v, chunk->v_ld, work->dstate, value, 1,
            work->dk, key);
    if (grad->v.out) {
        triangle(rows, key, work->q, key, work->k, key, work->scores);
        value_backward(chunk, part, work, dy, lddy, &grad->v);
    }
    unscale(part, key, work->dq, work->up, &grad->q);
    unscale(part, key, work->dk, work->down, &grad->k);
    if (grad->gate.out) gate_backward(chunk, part, work, &grad->gate);
    rw_gemm(true, false, key, value, rows, 1, work->q, key, dy, lddy, 1, work->dstate, value);
}

/* One head: its states forwards, then its blocks backwards. */
static void head_backward(const rw_linear_attention *chunk, const workspace *work, int head,
                          const real *dy, int lddy, const rw_linear_attention_grad *grad)
{
    size_t matrix = (size_t)chunk->key * (size_t)chunk->value;
    for (int i = 0; i < work->blocks; i++) {
        block part = block_at(chunk, head, i);
        real *state = work->states + (size_t)i * matrix;
        memcpy(state + matrix, state, sizeof(real) * matrix);
        factors(chunk, &part, work);
        scale_k(chunk, &part, work);
        advance_state(chunk, &part, work, state + matrix);
    }
    for (int i = work->blocks - 1; i >= 0; i--) {
        block part = block_at(chunk, head, i);
        factors(chunk, &part, work);
        scale_q(chunk, &part, work);
        scale_k(chunk, &part, work);
        block_backward(chunk, &part, work, work->states + (size_t)i * matrix,
                       block_rows(chunk, &part, dy, lddy), lddy, grad);
    }
}

void rw_linear_attention_backward(const rw_linear_attention *chunk, const real *state_in,
                                  const real *dstate_out, const real *dy, int lddy,
                                  const rw_linear_attention_grad *grad, real *scratch)
{
    workspace work = workspace_carve(chunk, scratch);
    for (int head = 0; head < chunk->heads; head++) {
        load_state(chunk, head, state_in, work.states);
        load_state(chunk, head, dstate_out, work.dstate);
        head_backward(chunk, &work, head, dy, lddy, grad);
    }
}

/* ---- One token, and the naive form ---------------------------------------------- */

void rw_linear_attention_step(const rw_linear_attention *chunk, real *state, real *y)
{
    int key = chunk->key, value = chunk->value;
    for (int row = 0; row < chunk->heads * key; row++) {
        int head = row / key;
        real decay = 1, q = chunk->scale * chunk->q[row], k = chunk->k[row];
        if (chunk->decay == RW_DECAY_HEAD) decay = (real)exp(head_log_decay(head));
        if (chunk->decay == RW_DECAY_CHANNEL) {
            real sum = 0;
            add_log_decays(1, chunk->gate + row, &sum);
            decay = rw_exp(sum);
        }
        const real *restrict v = chunk->v + (size_t)head * (size_t)value;
        real *restrict s = state + (size_t)row * (size_t)value;
        real *restrict out = y + (size_t)head * (size_t)value;
        if (row % key == 0) memset(out, 0, sizeof(real) * (size_t)value);
        for (int j = 0; j < value; j++) {
            s[j] = decay * s[j] + k * v[j];
            out[j] += q * s[j];
        }
    }
}

static double naive_decay(const rw_linear_attention *chunk, int t, int head, int c)
{
    if (chunk->decay == RW_DECAY_NONE) return 1;
    if (chunk->decay == RW_DECAY_HEAD) return 1 - pow(2, -5 - head);
    double gate = chunk->gate[(size_t)t * chunk->gate_ld + (size_t)head * chunk->key + c];
    double rate = ((gate < 0 ? -gate : 0) + log1p(exp(-fabs(gate)))) / TEMPERATURE;
    return exp(-fmin(rate, -RW_LINEAR_ATTENTION_FLOOR));
}

/* Column j of a head over all tokens. */
static void reference_column(const rw_linear_attention *chunk, int head, int j, real *y, int ldy)
{
    double s[RW_LINEAR_ATTENTION_MAX_KEY] = {0};
    size_t key = (size_t)head * chunk->key, column = (size_t)head * chunk->value + (size_t)j;
    for (int t = 0; t < chunk->rows; t++) {
        const real *q = chunk->q + (size_t)t * chunk->q_ld + key;
        const real *k = chunk->k + (size_t)t * chunk->k_ld + key;
        double v = chunk->v[(size_t)t * chunk->v_ld + column], sum = 0;
        for (int c = 0; c < chunk->key; c++) {
            s[c] = naive_decay(chunk, t, head, c) * s[c] + k[c] * v;
            sum += q[c] * s[c];
        }
        y[(size_t)t * ldy + column] = (real)(chunk->scale * sum);
    }
}

void rw_linear_attention_reference(const rw_linear_attention *chunk, real *y, int ldy)
{
    for (int head = 0; head < chunk->heads; head++)
        for (int j = 0; j < chunk->value; j++) reference_column(chunk, head, j, y, ldy);
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
        if (decay == RW_DECAY_CHANNEL) flops += n * key * (3 * 16 + 16); /* 3 e^x, log(1 + u) */
    }
    return flops * heads;
}
