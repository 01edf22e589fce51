#include "ops/weight_product.h"

#include "kernels/panel_product.h"

static int outs(const rw_node *node)
{
    return (int)node->param_rows[0];
}

static int ins(const rw_node *node)
{
    return (int)node->param_cols[0];
}

/* float32: derived holds W^T, then W, in panels; lanes are panels. Else W rounded; lanes are
 * its rows. */
static bool packed(const rw_node *node)
{
    return node->precision == RW_PRECISION_FLOAT32;
}

static size_t forward_reals(const rw_node *node)
{
    return rw_packed_reals(ins(node), outs(node));
}

void rw_weight_product_shape(rw_node *node)
{
    if (packed(node)) {
        node->derived = forward_reals(node) + rw_packed_reals(outs(node), ins(node));
        node->lanes = rw_panels(outs(node)) + rw_panels(ins(node));
    } else {
        node->derived = rw_rounded_reals(node->precision, (size_t)outs(node) * (size_t)ins(node));
        node->lanes = outs(node);
    }
}

static void pack(const rw_node *node, const real *weight, int lane, real *derived)
{
    const int in = ins(node), out = outs(node), forward = rw_panels(out);
    if (lane < forward)
        rw_pack_panel(in, out, weight, true, lane, derived);
    else
        rw_pack_panel(out, in, weight, false, lane - forward, derived + forward_reals(node));
}

void rw_weight_product_prepare(const rw_node *node, const real *const *param, real *derived,
                               int begin, int end, real *scratch)
{
    int width = ins(node);
    (void)scratch;
    if (packed(node))
        for (int lane = begin; lane < end; lane++) pack(node, param[0], lane, derived);
    else
        rw_round(node->precision, end - begin, width, param[0] + (size_t)begin * (size_t)width,
                 width, begin, derived);
}

double rw_weight_product_bytes(const rw_node *node, int rows, bool backward)
{
    double in = ins(node), weight = in * outs(node), bias = node->params > 1 ? outs(node) : 0;
    double read = packed(node) ? weight : (double)node->derived;
    double moved = read + bias + rows * (in + node->out_width);
    if (backward) moved += weight + bias + rows * in;
    return moved * (double)sizeof(real);
}

static size_t reals(const rw_node *node, int rows, int columns)
{
    return rw_rounded_reals(node->precision, (size_t)rows * (size_t)columns);
}

size_t rw_weight_product_room(const rw_node *node, int rows)
{
    return reals(node, rows, ins(node)) + reals(node, rows, outs(node));
}

/* Rows as the product wants them, in room unless they are so already. */
static const real *rounded(const rw_call *call, int rows, int columns, const real *from, int *ld,
                           real *room)
{
    if (call->node->precision == RW_PRECISION_FLOAT32) return from;
    rw_round(call->node->precision, rows, columns, from, *ld, 0, room);
    *ld = columns;
    return room;
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
    rw_rounded_product(call->node->precision, false, true, rows, out, in, from, ldx, call->derived,
                       in, add, y, ldy);
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
        rw_rounded_product(call->node->precision, false, false, g->rows, in, out, dy, lddy,
                           call->derived, in, g->add, g->dx, g->lddx);
}

void rw_weight_product_backward(const rw_call *call, const rw_weight_gradient *g, real *room)
{
    int in = ins(call->node), out = outs(call->node), lddy = g->lddy, ldx = g->ldx;
    const real *dy = rounded(call, g->rows, out, g->dy, &lddy, room);
    if (g->dx) input_gradient(call, g, dy, lddy);
    if (call->discards) return;
    const real *x = rounded(call, g->rows, in, g->x, &ldx, room + reals(call->node, g->rows, out));
    rw_rounded_product(call->node->precision, true, false, out, in, g->rows, dy, lddy, x, ldx, true,
                       call->dparam[0], in);
}
