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

static inline real log2_decay(real gate)
{
    real log_decay = -rw_softplus_value(-gate) * (real)(LOG2_E / TEMPERATURE);
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

/* Each row of x (rows, wide) becomes the sum of those up to it. */
static void running_sums(int rows, int wide, real *x)
{
    for (int c = 0; c < wide; c += RW_LANES) {
        rw_vector sum = {0};
        for (int t = 0; t < rows; t++) {
            real *at = x + (long)t * wide + c;
            sum += rw_lanes_load(at, 0);
            rw_lanes_store(at, 0, sum);
        }
    }
}

static void exponentials(int n, real *restrict x, real *restrict inverse)
{
    for (int i = 0; i < n; i++) {
        x[i] = rw_exp2(x[i]);
        inverse[i] = 1 / x[i];
    }
}

void rw_decay_by_gates(int rows, int columns, int wide, const real *gate, int ld, real *decay,
                       real *growth)
{
    rw_dense_copy(rows, columns, wide, gate, ld, decay);
    log_decays(rows * wide, decay);
    running_sums(rows, wide, decay);
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
