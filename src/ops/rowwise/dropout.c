/* Dropout with inverted scaling: an element is dropped with probability `rate`, and divided by 1 -
 * rate otherwise. Outside training the op copies. The decision is a function of the seed, the step,
 * the node and the place of the element in the batch. So the decision is the same on any layout,
 * and backward draws the decision a second time: no mask is kept. A random number serves four
 * columns with 16 bits each; the rate is rounded to a multiple of 2^-16. */
#include <endian.h>
#include <math.h>

#include "base/random.h"
#include "ops/rowwise/elementwise.h"

#define SHARE 4   /* columns per random number */
#define PART  256 /* columns for which decisions are drawn at a time */

typedef struct {
    unsigned threshold; /* of 65536: dropped below */
    real scale;         /* 1 / (1 - rate) */
} dropout_attributes;

/* (step, node) and (sequence, row, group of columns) are packed so that
 * different places never share a number: 2^20 nodes, 2^20 sequences in a batch,
 * 2^44 groups of columns in a sequence. */
static rw_random stream_of(const rw_call *call)
{
    return rw_random_stream(call->at.seed, RW_RANDOM_DROPOUT,
                            call->at.step << 20 | (uint64_t)call->node->index);
}

static uint64_t first_group(const rw_call *call, int t)
{
    const uint64_t groups = (uint64_t)(call->node->out_width + SHARE - 1) / SHARE;
    return ((uint64_t)call->at.sequence << 44) + (uint64_t)(call->at.position + t) * groups;
}

static void draw(int n, rw_random stream, uint64_t group, uint16_t out[PART])
{
    uint64_t bits[PART / SHARE];
    const int groups = (n + SHARE - 1) / SHARE;
    rw_random_bits_run(stream, group, groups, bits);
    for (int i = 0; i < groups; i++) bits[i] = htole64(bits[i]);
    memcpy(out, bits, (size_t)groups * sizeof *bits);
}

static void drop_part(int n, const uint16_t *restrict drawn, dropout_attributes a,
                      const real *restrict x, bool add, real *restrict y)
{
    for (int i = 0; i < n; i++) {
        const real kept = x[i] * a.scale;
        y[i] = rw_put(add, y[i], drawn[i] >= a.threshold ? kept : 0);
    }
}

/* y = x where kept: forward and backward are the same map. */
static void drop(const rw_call *call, const real *x, int x_ld, bool add, real *y, int y_ld)
{
    const dropout_attributes *given = call->node->attributes;
    const dropout_attributes keep_all = {.threshold = 0, .scale = 1};
    const int width = call->node->out_width;
    const rw_random stream = stream_of(call);
    uint16_t drawn[PART] = {0};
    for (int t = 0; t < call->rows; t++)
        for (int begin = 0; begin < width; begin += PART) {
            const int n = width - begin < PART ? width - begin : PART;
            if (call->at.training)
                draw(n, stream, first_group(call, t) + (uint64_t)begin / SHARE, drawn);
            drop_part(n, drawn, call->at.training ? *given : keep_all, rw_row(x, x_ld, t) + begin,
                      add, rw_row_out(y, y_ld, t) + begin);
        }
}

static void dropout_forward(const rw_call *call)
{
    drop(call, call->in[0], call->in_ld[0], false, call->out, call->out_ld);
}

static void dropout_backward(const rw_call *call)
{
    if (!call->back.din[0]) return;
    drop(call, call->back.dout, call->back.dout_ld, call->back.din_add[0], call->back.din[0],
         call->back.din_ld[0]);
}

static void dropout_reference(const rw_call *call)
{
    const dropout_attributes *a = call->node->attributes;
    const int width = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < width; i++) {
            const uint64_t group = ((uint64_t)call->at.sequence << 44) +
                                   (uint64_t)(call->at.position + t) * (uint64_t)((width + 3) / 4) +
                                   (uint64_t)i / 4;
            const rw_random stream =
                rw_random_stream(call->at.seed, RW_RANDOM_DROPOUT,
                                 call->at.step << 20 | (uint64_t)call->node->index);
            const unsigned drawn = rw_random_bits(stream, group) >> 16 * (i % 4) & 0xffff;
            const double factor = !call->at.training ? 1 : drawn < a->threshold ? 0 : a->scale;
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)(factor * rw_row(call->in[0], call->in_ld[0], t)[i]);
        }
}

static double dropout_flops(const rw_node *node, int rows)
{
    return (double)rows * node->out_width;
}

static rw_status dropout_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_dropout(graph, x, 0.25, y);
}

const rw_op rw_op_dropout = {
    .name = "dropout",
    .doc = "drops elements at random in training, scales up the others",
    .source = "Srivastava et al. 2014, Dropout, section 10 (inverted scaling)",
    .promises = {.rowwise = true},
    .shape = rw_elementwise_shape,
    .forward = dropout_forward,
    .backward = dropout_backward,
    .reference = dropout_reference,
    .flops = dropout_flops,
    .sample = dropout_sample,
};

rw_status rw_dropout(rw_graph *graph, rw_value x, double rate, rw_value *y)
{
    if (!(rate >= 0 && rate <= 0.999))
        return rw_fail(RW_USAGE, "dropout: rate %g; choose one from 0 to 0.999", rate);
    const unsigned threshold = (unsigned)lround(rate * 65536);
    if (threshold == 0) {
        *y = x;
        return RW_OK;
    }
    const dropout_attributes a = {threshold, (real)(65536.0 / (65536.0 - threshold))};
    return rw_graph_apply(graph, &rw_op_dropout, &a, sizeof a, &x, 1, NULL, 0, y);
}
