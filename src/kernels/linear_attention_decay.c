#include "kernels/linear_attention_decay.h"

#include <math.h>

#include "kernels/dense.h"
#include "kernels/elementary.h"
#include "kernels/linear_attention_chunk.h"

#define TEMPERATURE RW_LINEAR_ATTENTION_TEMPERATURE
#define LOG2_E      1.4426950408889634
#define FLOOR       ((real)(LOG2_E * RW_LINEAR_ATTENTION_FLOOR))

double rw_decay_of_head(int head)
{
    return log1p(-exp2(-5 - head));
}

/* log2(1 + u), 0 <= u <= 1. Float: u times a polynomial of degree 8, minimax for relative
 * errors, all in all 2e-7; in pairs, for Horner's rule would wait for each step. */
static inline real log2_of_one_more(real u)
{
#ifdef RW_DOUBLE
    return LOG2_E * log1p(u);
#else
    const float square = u * u, fourth = square * square;
    const float p0 = 1.442695f - 0.721340209f * u, p2 = 0.480692964f - 0.358408509f * u;
    const float p4 = 0.275641515f - 0.197119131f * u, p6 = 0.112856332f - 0.0425671212f * u;
    const float low = p0 + p2 * square, high = p4 + p6 * square;
    return u * (low + fourth * (high + 0.00754919148f * fourth));
#endif
}

/* log2 a = -log2(1 + e^-gate) / 16, or the floor. */
static inline real log2_decay(real gate)
{
    const real slope = (real)LOG2_E * gate, below = slope < 0 ? slope : 0;
    const real tail = log2_of_one_more(rw_exp2(slope < 0 ? slope : -slope));
    const real log_decay = (below - tail) / TEMPERATURE;
    return log_decay > FLOOR ? log_decay : FLOOR;
}

real rw_decay_of_gate(real gate)
{
    return rw_exp2(log2_decay(gate));
}

/* Gates become log2 a. */
static void log_decays(int n, real *restrict x)
{
    for (int i = 0; i < n; i++) x[i] = log2_decay(x[i]);
}

/* Added to a number below 32 and taken away again, it leaves a multiple of the unit in the last
 * place of 64, 2^-17 in float. */
#define COARSE 96

/* Each row of x (rows, wide) becomes the sum of those up to it, x + rest: the x, sums of
 * multiples of a power of 2, are exact, and rounding is that of the small rests. A plain sum
 * would round to the place of a sum of 46, and what the decay between two tokens is, is the
 * difference of two sums, often a small one. */
static void running_sums(int rows, int wide, real *x, real *rest)
{
    for (int c = 0; c < wide; c += RW_LANES) {
        rw_vector sum = {0}, small = {0};
        for (int t = 0; t < rows; t++) {
            const long at = (long)t * wide + c;
            const rw_vector log = rw_lanes_load(x + at, 0), coarse = (log + COARSE) - COARSE;
            sum += coarse;
            small += log - coarse;
            rw_lanes_store(x + at, 0, sum);
            rw_lanes_store(rest + at, 0, small);
        }
    }
}

/* e_t and 1 / e_t in the place of the sums. */
static void exponentials(int n, real *restrict x, real *restrict rest)
{
    for (int i = 0; i < n; i++) {
        x[i] = rw_exp2_of_sum(x[i], rest[i]);
        rest[i] = 1 / x[i];
    }
}

void rw_decay_by_gates(int rows, int columns, int wide, const real *gate, int ld, real *decay,
                       real *growth)
{
    rw_dense_copy(rows, columns, wide, gate, ld, decay);
    log_decays(rows * wide, decay);
    running_sums(rows, wide, decay, growth);
    exponentials(rows * wide, decay, growth);
}

void rw_decay_constant(int rows, int wide, double log_decay, real *decay, real *growth)
{
    for (int t = 0; t < rows; t++) {
        double factor = exp((t + 1) * log_decay);
        for (int c = 0; c < wide; c++) {
            decay[(long)t * wide + c] = (real)factor;
            growth[(long)t * wide + c] = (real)(1 / factor);
        }
    }
}

/* The floor is met at a gate of 16 times it, where log sigmoid is the gate to 1e-7. */
void rw_decay_slopes(int n, real *x)
{
    for (int i = 0; i < n; i++) {
        real free = x[i] > TEMPERATURE * RW_LINEAR_ATTENTION_FLOOR ? 1 : 0;
        x[i] = free * rw_sigmoid(-x[i]) / TEMPERATURE;
    }
}
