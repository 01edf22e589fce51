#include "kernels/ssd_decay.h"

#define BLOCK RW_SSD_BLOCK

static void step_sizes(const rw_ssd_chunk *chunk, int head, real *restrict dt)
{
    for (int t = 0; t < chunk->rows; t++)
        dt[t] = chunk->raw[(size_t)t * chunk->raw_ld + head] + chunk->dt_bias[head];
    for (int t = 0; t < chunk->rows; t++) dt[t] = rw_softplus_value(dt[t]);
}

/* Sums of a = dt A from the start of each block, and their rounding rests. */
static void block_sums(int rows, double transition, const real *restrict dt, real *restrict cum,
                       real *restrict rest)
{
    double sum = 0;
    for (int t = 0; t < rows; t++) {
        sum = (t % BLOCK ? sum : 0) + transition * dt[t];
        cum[t] = (real)sum;
        rest[t] = (real)(sum - cum[t]);
    }
}

/* Decays from the start of each block, and to its end. */
static void block_decays(int rows, int padded, const real *restrict cum, const real *restrict rest,
                         real *restrict in, real *restrict out)
{
    for (int t = 0; t < padded; t++) in[t] = rw_exp(cum[t]) * (1 + rest[t]);
    for (int begin = 0; begin < rows; begin += BLOCK) {
        const int last = (begin + BLOCK < rows ? begin + BLOCK : rows) - 1;
        for (int t = begin; t < begin + BLOCK; t++)
            out[t] = rw_exp((cum[last] - cum[t]) + (rest[last] - rest[t]));
    }
}

void rw_ssd_decays_make(const rw_ssd_chunk *chunk, int head, int padded,
                        const rw_ssd_decays *decays)
{
    step_sizes(chunk, head, decays->dt);
    block_sums(chunk->rows, rw_ssd_transition(chunk, head), decays->dt, decays->cum, decays->rest);
    for (int t = chunk->rows; t < padded; t++) decays->dt[t] = decays->cum[t] = decays->rest[t] = 0;
    block_decays(chunk->rows, padded, decays->cum, decays->rest, decays->in, decays->out);
}
