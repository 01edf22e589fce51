/* Linear attention token by token: a step of generation, and the naive definition. */
#include <math.h>
#include <string.h>

#include "kernels/linear_attention_chunk.h"
#include "kernels/linear_attention_decay.h"

void rw_linear_attention_step(const rw_linear_attention *chunk, real *state, real *y)
{
    int key = chunk->key, value = chunk->value;
    for (int row = 0; row < chunk->heads * key; row++) {
        int head = row / key;
        real decay = 1, q = chunk->scale * chunk->q[row], k = chunk->k[row];
        if (chunk->decay == RW_DECAY_HEAD) decay = (real)exp(rw_decay_of_head(head));
        if (chunk->decay == RW_DECAY_CHANNEL) decay = rw_decay_of_gate(chunk->gate[row]);
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
    double rate =
        ((gate < 0 ? -gate : 0) + log1p(exp(-fabs(gate)))) / RW_LINEAR_ATTENTION_TEMPERATURE;
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
