/* The gated recurrent unit, in the variant that resets after the product (as in
 * cuDNN and PyTorch; a single product with h. Cho et al. 2014 reset h itself, U_n (r h), which
 * takes two products in a row):
 *
 *   r, z = sigmoid(in_r,z + U_r,z h)     q = U_n h + b_n
 *   n = tanh(in_n + r q)                 h' = (1 - z) n + z h
 *
 * Kept planes: n r z q. The adjoint turns n r z into the gradients of the inputs (in this order),
 * and r z q into the gradients of the products (in this order). */
#include <math.h>
#include <string.h>

#include "kernels/elementary.h"
#include "mixers/gated_cell.h"
#include "mixers/mixer.h"

extern const rw_op rw_op_gru;

extern const rw_mixer rw_mixer_gru;

enum { IN_N, IN_R, IN_Z, GATES };              /* planes of the input */
enum { PRODUCT_R, PRODUCT_Z, PRODUCT_Q };      /* planes of U h */
enum { KEPT_N, KEPT_R, KEPT_Z, KEPT_Q, KEPT }; /* kept planes */

static void gru_forward(int hidden, int units, const real *restrict product,
                        const real *restrict before, real *restrict kept, real *restrict after,
                        real *restrict h)
{
    for (int j = 0; j < units; j++) {
        real r = rw_sigmoid(kept[IN_R * hidden + j] + product[PRODUCT_R * hidden + j]);
        real z = rw_sigmoid(kept[IN_Z * hidden + j] + product[PRODUCT_Z * hidden + j]);
        real q = product[PRODUCT_Q * hidden + j];
        real n = rw_tanh(kept[IN_N * hidden + j] + r * q);
        kept[KEPT_N * hidden + j] = n;
        kept[KEPT_R * hidden + j] = r;
        kept[KEPT_Z * hidden + j] = z;
        kept[KEPT_Q * hidden + j] = q;
        after[j] = h[j] = (1 - z) * n + z * before[j];
    }
}

static void gru_output(int hidden, int units, const real *restrict kept, const real *restrict after,
                       real *restrict h)
{
    (void)hidden, (void)kept;
    memcpy(h, after, (size_t)units * sizeof(real));
}

static void gru_backward(int hidden, int units, const real *restrict before, real *restrict kept,
                         real *restrict after, real *restrict dstate)
{
    (void)after;
    for (int j = 0; j < units; j++) {
        real n = kept[KEPT_N * hidden + j], r = kept[KEPT_R * hidden + j];
        real z = kept[KEPT_Z * hidden + j], q = kept[KEPT_Q * hidden + j];
        real dh = dstate[j], dn = dh * (1 - z) * (1 - n * n);
        kept[KEPT_N * hidden + j] = dn;
        kept[KEPT_R * hidden + j] = dn * q * r * (1 - r);
        kept[KEPT_Z * hidden + j] = dh * (before[j] - n) * z * (1 - z);
        kept[KEPT_Q * hidden + j] = dn * r;
        dstate[j] = dh * z;
    }
}

static const rw_cell cell = {.gates = GATES,
                             .kept = KEPT,
                             .states = 1,
                             .forward = gru_forward,
                             .output = gru_output,
                             .backward = gru_backward};

/* Plane `plane` of U h for unit j at row t, where h is the output of row t-1. */
static double product_reference(const rw_call *call, int t, int plane, int j)
{
    const int hidden = call->node->out_width, row = plane * hidden + j;
    double sum = 0;
    for (int k = 0; t > 0 && k < hidden; k++)
        sum += (double)call->param[RW_CELL_WEIGHT][(size_t)row * hidden + k] *
               call->out[(size_t)(t - 1) * call->out_ld + k];
    return sum;
}

static void gru_reference(const rw_call *call)
{
    const int hidden = call->node->out_width;
    for (int t = 0; t < call->rows; t++)
        for (int j = 0; j < hidden; j++) {
            const real *in = call->in[0] + (size_t)t * call->in_ld[0] + j;
            real *out = call->out + (size_t)t * call->out_ld + j;
            double r_in = in[IN_R * hidden] + product_reference(call, t, PRODUCT_R, j);
            double z_in = in[IN_Z * hidden] + product_reference(call, t, PRODUCT_Z, j);
            double q = call->param[RW_CELL_BIAS][j] + product_reference(call, t, PRODUCT_Q, j);
            double z = 1 / (1 + exp(-z_in));
            double n = tanh(in[IN_N * hidden] + q / (1 + exp(-r_in)));
            *out = (real)((1 - z) * n + (t > 0 ? z * out[-call->out_ld] : 0));
        }
}

static const rw_gated_block block = {.op = &rw_op_gru, .cell = &cell, .bias = true};

static rw_status gru_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_gated_cell_sample(graph, &block, x, y);
}

const rw_op rw_op_gru = {
    .name = "gru",
    .doc = "gated recurrent unit on projected inputs, reset after the product",
    .source = "Cho et al. 2014, Learning phrase representations, section 2.3",
    RW_GATED_CELL_CALLBACKS,
    .reference = gru_reference,
    .sample = gru_sample,
};

static rw_status gru_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    return rw_gated_cell_build(graph, config, &block, x, y);
}

const rw_mixer rw_mixer_gru = {
    .name = "gru",
    .summary = "gated recurrent unit: two gates and no memory cell, one token after another",
    .source = "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder",
    .keys = rw_gated_cell_keys,
    .build = gru_build,
};
