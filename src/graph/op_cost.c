#include "graph/op_cost.h"

/* Reals of the parameters and of the derived data. */
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

/* Reals of the carry. read: columns of the rows that the summary or adjoint of a tree carry reads
 * once more; times: how often states, and the saved rows of a sequence carry, are read or written.
 */
static double carry_reals(const rw_node *node, double rows, double read, int times)
{
    double handed = (double)node->size.transition + times * (double)node->size.state;
    double saved = rows * (double)node->size.saved;
    if (node->op->shift) return handed;
    if (node->op->tree) return handed + rows * read;
    if (node->op->sequence) return handed + times * saved;
    return node->op->global ? saved : 0;
}

/* saved: written by summary, read by forward. */
static double forward_reals(const rw_node *node, double rows)
{
    double in = columns(node, ~0u);
    return weights_of(node, node->size.derived) + rows * (in + node->out_width) +
           carry_reals(node, rows, in, 2);
}

/* saved: read and changed by adjoint, read by backward. */
static double backward_reals(const rw_node *node, double rows)
{
    double kept = columns(node, node->op->promises.keeps_in) + node->out_width; /* dout */
    if (node->op->promises.keeps_out) kept += node->out_width;
    return weights_of(node, node->size.derived) + weights_of(node, node->size.derived_grad) +
           rows * (kept + columns(node, ~0u)) + carry_reals(node, rows, kept, 3);
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
