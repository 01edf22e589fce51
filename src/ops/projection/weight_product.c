#include "ops/projection/weight_product.h"

#include <string.h>

#include "kernels/panel_product.h"

/* Reals of a cache line; rows of y in a separate buffer. */
enum { LINE = 16, ASIDE = 128 };

static int outs(const rw_node *node)
{
    return (int)node->param_rows[0];
}

static int ins(const rw_node *node)
{
    return (int)node->param_cols[0];
}

/* bf16: a row of y must begin on a cache line. Otherwise each stored line of a tile touches two
 * cache lines, and the last tile is narrow: such a product takes two to three times as long. So y
 * is computed in a separate buffer, with rows of zeros added to W. */
static bool widened(const rw_node *node)
{
    return node->setting.precision == RW_PRECISION_BF16 && outs(node) % LINE;
}

static int wide_outs(const rw_node *node)
{
    return widened(node) ? (outs(node) + LINE - 1) / LINE * LINE : outs(node);
}

/* float32: derived holds W^T, then W, in panels; slices are panels. Otherwise derived holds W,
 * rounded, with wide_outs rows; slices are rows. */
static bool packed(const rw_node *node)
{
    return node->setting.precision == RW_PRECISION_FLOAT32;
}

static size_t forward_reals(const rw_node *node)
{
    return rw_packed_reals(ins(node), outs(node));
}

void rw_weight_product_sizes(rw_node *node)
{
    if (packed(node)) {
        node->size.derived = forward_reals(node) + rw_packed_reals(outs(node), ins(node));
        node->size.slices = rw_panels(outs(node)) + rw_panels(ins(node));
    } else {
        node->size.derived =
            rw_rounded_reals(node->setting.precision, (size_t)wide_outs(node) * (size_t)ins(node));
        node->size.slices = outs(node);
    }
}

static void pack(const rw_node *node, const real *weight, int slice, real *derived)
{
    const int in = ins(node), out = outs(node), forward = rw_panels(out);
    if (slice < forward)
        rw_pack_panel(in, out, weight, true, slice, derived);
    else
        rw_pack_panel(out, in, weight, false, slice - forward, derived + forward_reals(node));
}

static void round_rows(const rw_node *node, const real *weight, int begin, int end, real *derived)
{
    const int in = ins(node), out = outs(node);
    const size_t first = (size_t)out * (size_t)in;
    rw_round(node->setting.precision, end - begin, in, weight + (size_t)begin * (size_t)in, in,
             begin, derived);
    if (end == out && widened(node))
        memset((rw_bf16 *)(void *)derived + first, 0,
               (size_t)(wide_outs(node) - out) * (size_t)in * sizeof(rw_bf16));
}

void rw_weight_product_prepare(const rw_node *node, const real *const *param, real *derived,
                               int begin, int end, real *scratch)
{
    (void)scratch;
    if (packed(node))
        for (int slice = begin; slice < end; slice++) pack(node, param[0], slice, derived);
    else
        round_rows(node, param[0], begin, end, derived);
}

double rw_weight_product_bytes(const rw_node *node, int rows, bool backward)
{
    double in = ins(node), weight = in * outs(node), bias = node->params > 1 ? outs(node) : 0;
    double read = packed(node) ? weight : (double)node->size.derived;
    double moved = read + bias + rows * (in + node->out_width);
    if (backward) moved += weight + bias + rows * in;
    return moved * (double)sizeof(real);
}

static size_t reals(const rw_node *node, int rows, int columns)
{
    return rw_rounded_reals(node->setting.precision, (size_t)rows * (size_t)columns);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Forward: rounded x, then rows of y aside. Backward: rounded dy, then x. */
size_t rw_weight_product_room(const rw_node *node, int rows)
{
    size_t x = reals(node, rows, ins(node)), dy = reals(node, rows, outs(node));
    size_t aside = (size_t)least(rows, ASIDE) * (size_t)wide_outs(node);
    return x + (widened(node) && aside > dy ? aside : dy);
}

/* Rows in the precision of the product, in `room` unless they have the precision already. */
static const real *rounded(const rw_call *call, int rows, int columns, const real *from, int *ld,
                           real *room)
{
    if (call->node->setting.precision == RW_PRECISION_FLOAT32) return from;
    rw_round(call->node->setting.precision, rows, columns, from, *ld, 0, room);
    *ld = columns;
    return room;
}

static void take_rows(int rows, int columns, const real *from, int ld, bool add, real *y, int ldy)
{
    for (int i = 0; i < rows; i++, from += ld, y += ldy)
        for (int j = 0; j < columns; j++) y[j] = add ? y[j] + from[j] : from[j];
}

static void widened_product(const rw_call *call, int rows, const real *x, bool add, real *y,
                            int ldy, real *aside)
{
    const int in = ins(call->node), wide = wide_outs(call->node);
    for (int i = 0; i < rows; i += ASIDE) {
        const int some = least(rows - i, ASIDE);
        rw_rounded_product(call->node->setting.precision, false, true, some, wide, in,
                           x + reals(call->node, i, in), in, call->derived, in, false, aside, wide);
        take_rows(some, outs(call->node), aside, wide, add, y + (size_t)i * (size_t)ldy, ldy);
    }
}

void rw_weight_product(const rw_call *call, int rows, const real *x, int ldx, bool add, real *y,
                       int ldy, real *room)
{
    int in = ins(call->node), out = outs(call->node);
    if (packed(call->node)) {
        rw_panel_product(rows, out, in, x, ldx, call->derived, add, y, ldy);
        return;
    }
    const real *from = rounded(call, rows, in, x, &ldx, room);
    if (widened(call->node)) {
        widened_product(call, rows, from, add, y, ldy, room + reals(call->node, rows, in));
        return;
    }
    rw_rounded_product(call->node->setting.precision, false, true, rows, out, in, from, ldx,
                       call->derived, in, add, y, ldy);
}

/* dx of rounded dy. */
static void input_gradient(const rw_call *call, const rw_weight_gradient *g, const real *dy,
                           int lddy)
{
    int in = ins(call->node), out = outs(call->node);
    if (packed(call->node))
        rw_panel_product(g->rows, in, out, dy, lddy, call->derived + forward_reals(call->node),
                         g->add, g->dx, g->lddx);
    else
        rw_rounded_product(call->node->setting.precision, false, false, g->rows, in, out, dy, lddy,
                           call->derived, in, g->add, g->dx, g->lddx);
}

void rw_weight_product_backward(const rw_call *call, const rw_weight_gradient *g, real *room)
{
    int in = ins(call->node), out = outs(call->node), lddy = g->lddy, ldx = g->ldx;
    const real *dy = rounded(call, g->rows, out, g->dy, &lddy, room);
    if (g->dx) input_gradient(call, g, dy, lddy);
    if (call->back.discards) return;
    const real *x = rounded(call, g->rows, in, g->x, &ldx, room + reals(call->node, g->rows, out));
    rw_rounded_product(call->node->setting.precision, true, false, out, in, g->rows, dy, lddy, x,
                       ldx, true, call->back.dparam[0], in);
}
