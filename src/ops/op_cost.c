#include "ops/op_cost.h"

/* Reals of the parameters, and of what prepare made of them. */
static double weights_of(const rw_node *node, size_t derived)
{
    double n = (double)derived;
    for (int k = 0; k < node->params; k++)
        n += (double)node->param_rows[k] * (double)node->param_cols[k];
    return n;
}

/* Columns of the inputs; `which`: bit i stands for input i. */
static double columns(const rw_node *node, unsigned which)
{
    double n = 0;
    for (int k = 0; k < node->ins; k++)
        if (which >> k & 1) n += node->in_width[k];
    return n;
}

static double forward_reals(const rw_node *node, double rows)
{
    double in = columns(node, ~0u), reals = weights_of(node, node->derived);
    double carry = (double)node->map + 2 * (double)node->state, saved = (double)node->saved;
    reals += rows * (in + node->out_width);
    switch (node->op->carry) {
    case RW_CARRY_NONE:
        return reals;
    case RW_CARRY_SHIFT:
        return reals + carry;
    case RW_CARRY_TREE:
        return reals + carry + rows * in;
    case RW_CARRY_SEQUENCE: /* saved: written by summary, read by forward */
        return reals + carry + 2 * rows * saved;
    case RW_CARRY_GLOBAL:
        return reals + rows * saved;
    }
    return reals;
}

static double backward_reals(const rw_node *node, double rows)
{
    double kept = columns(node, node->op->keeps_in) + node->out_width; /* dout */
    double saved = (double)node->saved;
    double carry = (double)node->map + 3 * (double)node->state;
    double reals = weights_of(node, node->derived) + weights_of(node, node->derived_grad);
    if (node->op->keeps_out) kept += node->out_width;
    reals += rows * (kept + columns(node, ~0u));
    switch (node->op->carry) {
    case RW_CARRY_NONE:
        return reals;
    case RW_CARRY_SHIFT:
        return reals + carry;
    case RW_CARRY_TREE:
        return reals + carry + rows * kept;
    case RW_CARRY_SEQUENCE: /* saved: read and changed by adjoint, read by backward */
        return reals + carry + 3 * rows * saved;
    case RW_CARRY_GLOBAL:
        return reals + rows * saved;
    }
    return reals;
}

rw_cost rw_op_cost(const rw_node *node, int rows, bool backward)
{
    const rw_op *op = node->op;
    if (backward && node->ins + node->params == 0) return (rw_cost){0, 0};
    rw_cost cost = {.flops = op->flops(node, rows)};
    if (backward) cost.flops *= op->is_loss ? 3 : 2;
    if (op->bytes)
        cost.bytes = op->bytes(node, rows, backward);
    else
        cost.bytes = (double)sizeof(real) *
                     (backward ? backward_reals(node, rows) : forward_reals(node, rows));
    return cost;
}
