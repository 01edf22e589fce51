/* Features of the position of a row, for filters that are computed lag by lag. The op has no
 * inputs: the features depend neither on the data nor on document boundaries. */
#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_positions;

typedef struct {
    long length;
    int bands;
} attributes;

/* The lowest frequency, nearly a constant, as in the authors' code. */
static const double lowest = 1e-4;

static rw_status positions_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = node->attributes;
    if (attr->length < 1 || attr->bands < 1)
        return rw_fail(RW_USAGE,
                       "positions: a filter of %ld lags with %d frequencies; both must be at "
                       "least 1",
                       attr->length, attr->bands);
    *out_width = 1 + 2 * attr->bands;
    return RW_OK;
}

/* bands frequencies from `lowest` to bands - 1 cycles over the length: of number k, lowest +
 * step k. */
static double step_of(int bands)
{
    return bands == 1 ? 0 : (bands - 1 - lowest) / (bands - 1);
}

/* Whole turns are removed in double: the remainder is equally exact in float at any position. */
static void wave_row(int bands, double turns, double step, real *restrict cosines,
                     real *restrict sines)
{
    for (int k = 0; k < bands; k++) {
        const double of_band = turns * (lowest + step * k);
        const real angle = (real)(2 * M_PI * (of_band - rint(of_band)));
        cosines[k] = rw_cosine_value(angle);
        sines[k] = -rw_sine_value(angle);
    }
}

static void positions_forward(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const double step = step_of(attr->bands);
    for (int t = 0; t < call->rows; t++) {
        const double turns = (double)(call->at.position + t) / (double)attr->length;
        real *row = rw_row_out(call->out, call->out_ld, t);
        row[0] = (real)turns;
        wave_row(attr->bands, turns, step, row + 1, row + 1 + attr->bands);
    }
}

static void positions_backward(const rw_call *call)
{
    (void)call;
}

static void positions_reference(const rw_call *call)
{
    const attributes *attr = call->node->attributes;
    const int bands = attr->bands;
    for (long t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i++) {
            const int k = (i - 1) % bands;
            const double step = bands == 1 ? 0 : (bands - 1 - lowest) / (bands - 1);
            const double angle = 2 * M_PI * (double)t * (lowest + step * k) / (double)attr->length;
            const double wave = i > bands ? -sin(angle) : cos(angle);
            call->out[t * call->out_ld + i] =
                (real)(i == 0 ? (double)t / (double)attr->length : wave);
        }
}

static double positions_flops(const rw_node *node, int rows)
{
    return (double)rows * node->out_width * RW_EXP_FLOPS;
}

/* A convolution with a filter of positions: its result, unlike the positions, does not depend on
 * where a document stands. */
static rw_status positions_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_linear_options linear = {.name = "filter", .width = x.width, .gain = 0.3};
    rw_value features, h;
    RW_TRY(rw_positions(graph, 20, 3, &features));
    RW_TRY(rw_linear(graph, features, &linear, &h));
    return rw_long_convolution(graph, x, h, RW_CONVOLVE_AUTO, y);
}

const rw_op rw_op_positions = {
    .name = "positions",
    .doc = "features of a row's place in the sequence",
    .source = "Poli et al. 2023, Hyena Hierarchy, section 3.3 and appendix D.3",
    .promises = {.rowwise = true},
    .shape = positions_shape,
    .forward = positions_forward,
    .backward = positions_backward,
    .reference = positions_reference,
    .flops = positions_flops,
    .sample = positions_sample,
};

rw_status rw_positions(rw_graph *graph, long length, int bands, rw_value *y)
{
    const attributes attr = {length, bands};
    return rw_graph_apply(graph, &rw_op_positions, &attr, sizeof attr, NULL, 0, NULL, 0, y);
}
