#include "ops/loss/projected_loss.h"

#include <string.h>

#include "ops/rowwise/elementwise.h"
#include "ops/projection/weight_product.h"

enum { SCORES = 65536, LEAST_ROWS = 8, MOST_ROWS = 512 };

/* Rows with a target, and the operands of the products of a block. */
typedef struct {
    int count, row[MOST_ROWS];
    const real *x;
    int ldx;
} block;

static int scores_of(const rw_node *node)
{
    return (int)node->param_rows[0];
}

/* Rows of a block. While a graph is built, node->setting.chunk is zero. */
static int block_rows(const rw_node *node)
{
    int rows = SCORES / scores_of(node),
        most = node->setting.chunk > 0 ? node->setting.chunk : MOST_ROWS;
    rows = rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
    return rows < most ? rows : most;
}

/* Scratch: scores of a block | its rows of x | its rows of dx | room of the products. */
static real *rows_of_x(const rw_call *call)
{
    return call->scratch + (size_t)block_rows(call->node) * (size_t)scores_of(call->node);
}
static real *rows_of_dx(const rw_call *call)
{
    return rows_of_x(call) + (size_t)block_rows(call->node) * (size_t)call->node->in_width[0];
}
static real *room(const rw_call *call)
{
    return rows_of_dx(call) + (size_t)block_rows(call->node) * (size_t)call->node->in_width[0];
}

rw_status rw_projected_loss_shape(const rw_node *node, int *out_width)
{
    if (node->param_cols[0] != node->in_width[0])
        return rw_fail(RW_USAGE, "the output projection takes width %ld, its input has %d",
                       node->param_cols[0], node->in_width[0]);
    *out_width = 0;
    return RW_OK;
}

rw_status rw_projected_loss_sizes(rw_node *node)
{
    const size_t rows = (size_t)block_rows(node);
    rw_weight_product_sizes(node);
    node->size.scratch = rows * (size_t)scores_of(node) + 2 * rows * (size_t)node->in_width[0] +
                         rw_weight_product_room(node, (int)rows);
    return RW_OK;
}

static bool are_neighbours(const block *b)
{
    return b->row[b->count - 1] - b->row[0] == b->count - 1;
}

static void copy_rows(const rw_call *call, block *b, real *to)
{
    const int width = call->node->in_width[0];
    for (int i = 0; i < b->count; i++)
        memcpy(to + (size_t)i * (size_t)width, rw_row(call->in[0], call->in_ld[0], b->row[i]),
               (size_t)width * sizeof(real));
    b->x = to;
    b->ldx = width;
}

/* The next rows with a target, from row `from` on. Returns the row to go on from. */
static int next_block(const rw_projected_loss *loss, const rw_call *call, int from, block *b)
{
    const int most = block_rows(call->node);
    b->count = 0;
    for (; from < call->rows && b->count < most; from++)
        if (loss->counts(call, from)) b->row[b->count++] = from;
    if (b->count == 0) return from;
    b->x = rw_row(call->in[0], call->in_ld[0], b->row[0]);
    b->ldx = call->in_ld[0];
    if (!are_neighbours(b)) copy_rows(call, b, rows_of_x(call));
    return from;
}

/* Scores of a block, then losses and gradients in their place. */
static void block_loss(const rw_projected_loss *loss, const rw_call *call, const block *b)
{
    const int scores = scores_of(call->node);
    rw_weight_product(call, b->count, b->x, b->ldx, false, call->scratch, scores, room(call));
    for (int i = 0; i < b->count; i++) {
        double of_row = loss->row_loss(call, b->row[i], rw_row_out(call->scratch, scores, i));
        if (call->loss.rows) call->loss.rows[b->row[i]] = (real)of_row;
        if (call->loss.sum) *call->loss.sum += of_row;
    }
}

void rw_projected_loss_forward(const rw_projected_loss *loss, const rw_call *call)
{
    block b;
    if (call->loss.rows) memset(call->loss.rows, 0, (size_t)call->rows * sizeof *call->loss.rows);
    for (int t = 0; t < call->rows;) {
        t = next_block(loss, call, t, &b);
        if (b.count > 0) block_loss(loss, call, &b);
    }
}

/* Copies rows of dx to a dense block for a product, and back. */
static void copy_gradient(const rw_call *call, const block *b, bool back)
{
    const int width = call->node->in_width[0];
    for (int i = 0; i < b->count; i++) {
        real *there = rw_row_out(call->back.din[0], call->back.din_ld[0], b->row[i]);
        real *here = rw_row_out(rows_of_dx(call), width, i);
        memcpy(back ? there : here, back ? here : there, (size_t)width * sizeof(real));
    }
}

static void block_backward(const rw_call *call, const block *b)
{
    rw_weight_gradient gradient = {.rows = b->count,
                                   .x = b->x,
                                   .ldx = b->ldx,
                                   .dy = call->scratch,
                                   .lddy = scores_of(call->node),
                                   .add = call->back.din_add[0]};
    const bool apart = call->back.din[0] && !are_neighbours(b);
    if (apart) {
        if (gradient.add) copy_gradient(call, b, false);
        gradient.dx = rows_of_dx(call);
        gradient.lddx = call->node->in_width[0];
    } else if (call->back.din[0]) {
        gradient.dx = rw_row_out(call->back.din[0], call->back.din_ld[0], b->row[0]);
        gradient.lddx = call->back.din_ld[0];
    }
    rw_weight_product_backward(call, &gradient, room(call));
    if (apart) copy_gradient(call, b, true);
}

/* Rows without a target have no gradient. */
static void clear_others(const rw_projected_loss *loss, const rw_call *call)
{
    if (!call->back.din[0] || call->back.din_add[0]) return;
    for (int t = 0; t < call->rows; t++)
        if (!loss->counts(call, t))
            memset(rw_row_out(call->back.din[0], call->back.din_ld[0], t), 0,
                   (size_t)call->node->in_width[0] * sizeof(real));
}

void rw_projected_loss_backward(const rw_projected_loss *loss, const rw_call *call)
{
    block b;
    if (call->loss.rows) memset(call->loss.rows, 0, (size_t)call->rows * sizeof *call->loss.rows);
    clear_others(loss, call);
    for (int t = 0; t < call->rows;) {
        t = next_block(loss, call, t, &b);
        if (b.count == 0) continue;
        block_loss(loss, call, &b);
        block_backward(call, &b);
        for (int i = 0; loss->row_backward && i < b.count; i++)
            loss->row_backward(call, rw_row(call->scratch, scores_of(call->node), i));
    }
}
