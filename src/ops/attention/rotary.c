/* Rotary positions. Columns i and i + d/2 of a head, as a complex number, are multiplied by e^(i
 * a), a = p f, f = base^(-2i/d), at position p. Columns after the heads are copied: so queries,
 * keys and values are one value, and the projection before the op needs no memory of its own. p = c
 * T + r. The factors of r < T are prepared once a step. The factor of c T, the start of the chunk,
 * is computed in double once a call. Their product is the factor of p. So rows cost no sines, and
 * positions may be as large as a double can count. */
#include <math.h>

#include "ops/rowwise/elementwise.h"

extern const rw_op rw_op_rotary;

typedef struct {
    int heads, head_width;
    double base;
} attributes;

static int head_width(const rw_node *node)
{
    return ((const attributes *)node->attributes)->head_width;
}

static int turned_columns(const rw_node *node)
{
    return ((const attributes *)node->attributes)->heads * head_width(node);
}

static rw_status rotary_shape(const rw_node *node, int *out_width)
{
    if (head_width(node) % 2 != 0 || turned_columns(node) > node->in_width[0])
        return rw_fail(RW_USAGE,
                       "rotary: heads of %d columns, %d in all, of %d; choose an even head width, "
                       "or do without rotary positions",
                       head_width(node), turned_columns(node), node->in_width[0]);
    *out_width = node->in_width[0];
    return RW_OK;
}

static rw_status rotary_sizes(rw_node *node)
{
    const size_t width = (size_t)head_width(node);
    node->size.slices = node->setting.chunk;
    node->size.derived = (size_t)node->setting.chunk * width;
    node->size.scratch = 2 * width;
    return RW_OK;
}

static double frequency(const rw_node *node, int i)
{
    const attributes *attr = node->attributes;
    return pow(attr->base, -2.0 * i / head_width(node));
}

/* Factors of a position: d/2 cosines, then d/2 sines. */
static void factors_of(const rw_node *node, double position, real *factors)
{
    const int half = head_width(node) / 2;
    for (int i = 0; i < half; i++) {
        const double angle = position * frequency(node, i);
        factors[i] = (real)cos(angle);
        factors[half + i] = (real)sin(angle);
    }
}

static void rotary_prepare(const rw_node *node, const real *const *param, real *derived, int begin,
                           int end, real *scratch)
{
    (void)param, (void)scratch;
    for (int r = begin; r < end; r++)
        factors_of(node, r, derived + (size_t)r * (size_t)head_width(node));
}

static void multiply(int half, const real *restrict a, const real *restrict b, real *restrict out)
{
    for (int i = 0; i < half; i++) {
        out[i] = a[i] * b[i] - a[half + i] * b[half + i];
        out[half + i] = a[half + i] * b[i] + a[i] * b[half + i];
    }
}

/* The factors of row t of the call; `start`: the factors of the start of the chunk. */
static const real *factors_at(const rw_call *call, int t, real *start, real *out)
{
    const rw_node *node = call->node;
    const int width = head_width(node);
    const long position = call->at.passed + call->at.position + t,
               row = position % node->setting.chunk;
    if (t == 0 || row == 0) factors_of(node, (double)(position - row), start);
    multiply(width / 2, start, call->derived + (size_t)row * (size_t)width, out);
    return out;
}

/* sign -1 turns back. */
static void turn(int half, const real *restrict factors, real sign, const real *restrict x,
                 bool add, real *restrict y)
{
    for (int i = 0; i < half; i++) {
        const real c = factors[i], s = sign * factors[half + i], a = x[i], b = x[half + i];
        y[i] = rw_put(add, y[i], a * c - b * s);
        y[half + i] = rw_put(add, y[half + i], b * c + a * s);
    }
}

static void hand_on(int n, const real *restrict x, bool add, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = rw_put(add, y[i], x[i]);
}

static void turn_rows(const rw_call *call, real sign, const real *x, int x_ld, bool add, real *y,
                      int y_ld)
{
    const int width = head_width(call->node), turned = turned_columns(call->node);
    real *start = call->scratch, *own = start + width;
    for (int t = 0; t < call->rows; t++) {
        const real *factors = factors_at(call, t, start, own);
        for (int at = 0; at < turned; at += width)
            turn(width / 2, factors, sign, rw_row(x, x_ld, t) + at, add,
                 rw_row_out(y, y_ld, t) + at);
        hand_on(call->node->out_width - turned, rw_row(x, x_ld, t) + turned, add,
                rw_row_out(y, y_ld, t) + turned);
    }
}

static void rotary_forward(const rw_call *call)
{
    turn_rows(call, 1, call->in[0], call->in_ld[0], false, call->out, call->out_ld);
}

static void rotary_backward(const rw_call *call)
{
    if (call->back.din[0])
        turn_rows(call, -1, call->back.dout, call->back.dout_ld, call->back.din_add[0],
                  call->back.din[0], call->back.din_ld[0]);
}

static void rotary_reference(const rw_call *call)
{
    const int width = head_width(call->node), half = width / 2;
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i++) {
            const real *x = rw_row(call->in[0], call->in_ld[0], t);
            const int column = i % width;
            const bool turned = i < turned_columns(call->node);
            const double angle = turned ? (double)t * frequency(call->node, column % half) : 0;
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)(!turned ? (double)x[i]
                       : column < half
                           ? (double)x[i] * cos(angle) - (double)x[i + half] * sin(angle)
                           : (double)x[i] * cos(angle) + (double)x[i - half] * sin(angle));
        }
}

static double rotary_flops(const rw_node *node, int rows)
{
    return 3.0 * rows * turned_columns(node) + 3.0 * rows * head_width(node);
}

static rw_status rotary_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_rotary(graph, x, 2, x.width / 4, 1e4, y);
}

const rw_op rw_op_rotary = {
    .name = "rotary",
    .doc = "rotary positions: pairs of columns rotated by an angle proportional to the position",
    .source = "Su et al. 2021, RoFormer, equation 34",
    .promises = {.rowwise = true},
    .sees_position = true,
    .shape = rotary_shape,
    .sizes = rotary_sizes,
    .prepare = rotary_prepare,
    .forward = rotary_forward,
    .backward = rotary_backward,
    .reference = rotary_reference,
    .flops = rotary_flops,
    .sample = rotary_sample,
};

rw_status rw_rotary(rw_graph *graph, rw_value x, int heads, int head_width, double base,
                    rw_value *y)
{
    const attributes attr = {.heads = heads, .head_width = head_width, .base = base};
    return rw_graph_apply(graph, &rw_op_rotary, &attr, sizeof attr, &x, 1, NULL, 0, y);
}
