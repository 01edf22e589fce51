/* The state-space dual token by token: a step of generation, and the naive definition. */
#include <math.h>

#include "kernels/elementary.h"
#include "kernels/ssd_chunk.h"

void rw_ssd_step(const rw_ssd_chunk *chunk, real *state, real *y)
{
    int width = chunk->head_width, all = chunk->heads * width;
    for (int head = 0; head < chunk->heads; head++) {
        real dt = rw_softplus_value(chunk->raw[head] + chunk->dt_bias[head]);
        real decay = rw_exp(dt * rw_ssd_transition(chunk, head));
        const real *restrict x = chunk->x + (size_t)head * width;
        real *restrict out = y + (size_t)head * width;
        for (int p = 0; p < width; p++) out[p] = chunk->skip[head] * x[p];
        for (int n = 0; n < chunk->state; n++) {
            real *restrict h = state + (size_t)n * all + (size_t)head * width;
            real b = dt * chunk->b[n], c = chunk->c[n];
            for (int p = 0; p < width; p++) {
                h[p] = decay * h[p] + b * x[p];
                out[p] += c * h[p];
            }
        }
    }
}

/* A column (head, p) of the recurrence over all tokens. */
static void reference_column(const rw_ssd_chunk *chunk, int head, int column, real *y, int ldy)
{
    double h[RW_SSD_MAX_STATE] = {0}, a = -exp((double)chunk->a_log[head]);
    for (int t = 0; t < chunk->rows; t++) {
        double raw = (double)chunk->raw[(size_t)t * chunk->raw_ld + head] + chunk->dt_bias[head];
        double dt = raw > 0 ? raw + log1p(exp(-raw)) : log1p(exp(raw));
        double x = chunk->x[(size_t)t * chunk->ld + column], sum = chunk->skip[head] * x;
        double decay = exp(dt * a);
        for (int n = 0; n < chunk->state; n++) {
            h[n] = decay * h[n] + dt * chunk->b[(size_t)t * chunk->ld + n] * x;
            sum += chunk->c[(size_t)t * chunk->ld + n] * h[n];
        }
        y[(size_t)t * ldy + column] = (real)sum;
    }
}

void rw_ssd_reference(const rw_ssd_chunk *chunk, real *y, int ldy)
{
    for (int head = 0; head < chunk->heads; head++)
        for (int p = 0; p < chunk->head_width; p++)
            reference_column(chunk, head, head * chunk->head_width + p, y, ldy);
}
