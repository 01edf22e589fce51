/* Long short-term memory, with forget gate and without peepholes:
 *
 *   i, f, o = sigmoid(in_i,f,o + U_i,f,o h)     g = tanh(in_g + U_g h)
 *   c' = f c + i g                              h' = o tanh(c')
 *
 * Gates lie in the order i f g o. The bias of the forget gate starts at 1, so
 * that the memory is kept until the model learns to forget (Gers et al. 2000;
 * Jozefowicz et al. 2015, section 2.2). */
#include <math.h>

#include "kernels/elementary.h"
#include "mixers/gated_cell.h"
#include "mixers/mixer.h"

extern const rw_op rw_op_lstm;

extern const rw_mixer rw_mixer_lstm;

enum { INPUT, FORGET, CANDIDATE, OUTPUT, GATES };

static inline real output_of(real o, real c)
{
    return o * rw_tanh(c);
}

static void lstm_forward(int hidden, int units, const real *restrict product,
                         const real *restrict before, real *restrict kept, real *restrict after,
                         real *restrict h)
{
    for (int j = 0; j < units; j++) {
        real i = rw_sigmoid(kept[INPUT * hidden + j] + product[INPUT * hidden + j]);
        real f = rw_sigmoid(kept[FORGET * hidden + j] + product[FORGET * hidden + j]);
        real g = rw_tanh(kept[CANDIDATE * hidden + j] + product[CANDIDATE * hidden + j]);
        real o = rw_sigmoid(kept[OUTPUT * hidden + j] + product[OUTPUT * hidden + j]);
        real next = f * before[j] + i * g;
        kept[INPUT * hidden + j] = i;
        kept[FORGET * hidden + j] = f;
        kept[CANDIDATE * hidden + j] = g;
        kept[OUTPUT * hidden + j] = o;
        after[j] = next;
        h[j] = output_of(o, next);
    }
}

static void lstm_output(int hidden, int units, const real *restrict kept,
                        const real *restrict after, real *restrict h)
{
    for (int j = 0; j < units; j++) h[j] = output_of(kept[OUTPUT * hidden + j], after[j]);
}

static void lstm_backward(int hidden, int units, const real *restrict before, real *restrict kept,
                          real *restrict after, real *restrict dstate)
{
    for (int j = 0; j < units; j++) {
        real i = kept[INPUT * hidden + j], f = kept[FORGET * hidden + j];
        real g = kept[CANDIDATE * hidden + j], o = kept[OUTPUT * hidden + j];
        real squashed = rw_tanh(after[j]), dh = dstate[j];
        real dc = dstate[hidden + j] + dh * o * (1 - squashed * squashed);
        kept[INPUT * hidden + j] = dc * g * i * (1 - i);
        kept[FORGET * hidden + j] = dc * before[j] * f * (1 - f);
        kept[CANDIDATE * hidden + j] = dc * i * (1 - g * g);
        kept[OUTPUT * hidden + j] = dh * squashed * o * (1 - o);
        after[j] = o * squashed;
        dstate[j] = 0;
        dstate[hidden + j] = dc * f;
    }
}

static const rw_cell cell = {.gates = GATES,
                             .kept = GATES,
                             .states = 2,
                             .forward = lstm_forward,
                             .output = lstm_output,
                             .backward = lstm_backward};

/* Gate `gate` of unit j at row t, before the sigmoid or tanh. */
static double gate_reference(const rw_call *call, int t, int gate, int j)
{
    const int hidden = call->node->out_width, row = gate * hidden + j;
    double sum = call->in[0][(size_t)t * call->in_ld[0] + row];
    for (int k = 0; t > 0 && k < hidden; k++)
        sum += (double)call->param[RW_CELL_WEIGHT][(size_t)row * hidden + k] *
               call->out[(size_t)(t - 1) * call->out_ld + k];
    return sum;
}

static void lstm_reference(const rw_call *call)
{
    real *c = call->scratch;
    for (int t = 0; t < call->rows; t++)
        for (int j = 0; j < call->node->out_width; j++) {
            double i = 1 / (1 + exp(-gate_reference(call, t, INPUT, j)));
            double f = 1 / (1 + exp(-gate_reference(call, t, FORGET, j)));
            double o = 1 / (1 + exp(-gate_reference(call, t, OUTPUT, j)));
            double kept = t > 0 ? f * c[j] : 0;
            c[j] = (real)(kept + i * tanh(gate_reference(call, t, CANDIDATE, j)));
            call->out[(size_t)t * call->out_ld + j] = (real)(o * tanh((double)c[j]));
        }
}

static void lstm_init_in_bias(const rw_param *param, rw_random stream, real *out)
{
    long hidden = param->cols / GATES;
    (void)stream;
    for (long i = 0; i < param->cols; i++) out[i] = i / hidden == FORGET;
}

static const rw_gated_block block = {
    .op = &rw_op_lstm, .cell = &cell, .in_bias = lstm_init_in_bias};

static rw_status lstm_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_gated_cell_sample(graph, &block, x, y);
}

const rw_op rw_op_lstm = {
    .name = "lstm",
    .doc = "long short-term memory on projected inputs",
    .source = "Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate)",
    RW_GATED_CELL_CALLBACKS,
    .reference = lstm_reference,
    .sample = lstm_sample,
};

static rw_status lstm_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    return rw_gated_cell_build(graph, config, &block, x, y);
}

const rw_mixer rw_mixer_lstm = {
    .name = "lstm",
    .summary = "long short-term memory: gated, not linear, one token after another",
    .source = "Hochreiter and Schmidhuber 1997, Long short-term memory",
    .keys = rw_gated_cell_keys,
    .build = lstm_build,
};
