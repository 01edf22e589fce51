#include "ops/weight_product.h"

static int outs(const rw_node *node)
{
    return (int)node->param_rows[0];
}

static int ins(const rw_node *node)
{
    return (int)node->param_cols[0];
}

void rw_weight_product_shape(rw_node *node)
{
    node->derived = rw_rounded_reals(node->precision, (size_t)outs(node) * (size_t)ins(node));
    node->lanes = outs(node);
}

void rw_weight_product_prepare(const rw_node *node, const real *const *param, real *derived,
                               int begin, int end, real *scratch)
{
    int width = ins(node);
    (void)scratch;
    if (node->precision == RW_PRECISION_FLOAT32) return;
    rw_round(node->precision, end - begin, width, param[0] + (size_t)begin * (size_t)width, width,
             begin, derived);
}

static size_t reals(const rw_node *node, int rows, int columns)
{
    return rw_rounded_reals(node->precision, (size_t)rows * (size_t)columns);
}

size_t rw_weight_product_room(const rw_node *node, int rows)
{
    return reals(node, rows, ins(node)) + reals(node, rows, outs(node));
}

static const real *weight(const rw_call *call)
{
    return call->node->precision == RW_PRECISION_FLOAT32 ? call->param[0] : call->derived;
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
    const real *from = rounded(call, rows, in, x, &ldx, room);
    rw_rounded_product(call->node->precision, false, true, rows, out, in, from, ldx, weight(call),
                       in, add, y, ldy);
}

void rw_weight_product_backward(const rw_call *call, const rw_weight_gradient *g, real *room)
{
    int in = ins(call->node), out = outs(call->node), lddy = g->lddy, ldx = g->ldx;
    rw_precision precision = call->node->precision;
    const real *dy = rounded(call, g->rows, out, g->dy, &lddy, room);
    if (g->dx)
        rw_rounded_product(precision, false, false, g->rows, in, out, dy, lddy, weight(call), in,
                           g->add, g->dx, g->lddx);
    if (call->discards) return;
    const real *x = rounded(call, g->rows, in, g->x, &ldx, room + reals(call->node, g->rows, out));
    rw_rounded_product(precision, true, false, out, in, g->rows, dy, lddy, x, ldx, true,
                       call->dparam[0], in);
}
