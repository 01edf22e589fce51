#include "mixers/gated_cell.h"

#include <math.h>
#include <string.h>

#include "base/barrier.h"
#include "kernels/gemm.h"
#include "kernels/packed_product.h"
#include "mpi/layout.h"

/* ---- Sizes ----------------------------------------------------------------- */

static const rw_cell *cell_of(const rw_node *node)
{
    return ((const rw_gated_cell *)node->attributes)->cell;
}

static int hidden_of(const rw_node *node)
{
    return ((const rw_gated_cell *)node->attributes)->hidden;
}

/* `planes` planes, in reals. */
static size_t planes_of(const rw_node *node, int planes)
{
    return (size_t)planes * (size_t)hidden_of(node);
}

/* Working memory: products (RW_MAX_TOGETHER, padded) | gradients of the state
 * (RW_MAX_TOGETHER, S H) | a state of zeros (S H) | a row for `step` | h of this token
 * and of the token before, in turn (RW_MAX_TOGETHER, 2, H). A team shares the last part. */
typedef struct {
    real *h[2][RW_MAX_TOGETHER];
    real *product[RW_MAX_TOGETHER], *dstate[RW_MAX_TOGETHER], *zero, *row;
} workspace;

static size_t workspace_reals(const rw_node *node)
{
    size_t padded = rw_packed_columns(node->in_width[0]);
    return RW_MAX_TOGETHER * (padded + node->size.state + planes_of(node, 2)) + node->size.state +
           node->size.saved;
}

static workspace workspace_of(const rw_call *call)
{
    const rw_node *node = call->node;
    const size_t padded = rw_packed_columns(node->in_width[0]), hidden = planes_of(node, 1);
    real *common = call->carry.team ? call->carry.team->scratch : call->scratch;
    real *dstates = call->scratch + RW_MAX_TOGETHER * padded;
    workspace w = {.zero = dstates + RW_MAX_TOGETHER * node->size.state};
    w.row = w.zero + node->size.state;
    common += w.row + node->size.saved - call->scratch;
    for (size_t i = 0; i < RW_MAX_TOGETHER; i++) {
        w.product[i] = call->scratch + i * padded;
        w.dstate[i] = dstates + i * node->size.state;
        w.h[0][i] = common + 2 * i * hidden;
        w.h[1][i] = w.h[0][i] + hidden;
    }
    memset(w.zero, 0, node->size.state * sizeof(real));
    return w;
}

rw_status rw_gated_cell_shape(const rw_node *node, int *out_width)
{
    const rw_cell *cell = cell_of(node);
    int hidden = hidden_of(node), gates = cell->gates * hidden;
    if (node->ins != 1 || node->in_width[0] != gates || node->params < 1 ||
        node->param_rows[RW_CELL_WEIGHT] != gates || node->param_cols[RW_CELL_WEIGHT] != hidden)
        return rw_fail(RW_USAGE,
                       "%s of %d units takes an input of width %d and a recurrent weight (%d, %d)",
                       node->op->name, hidden, gates, gates, hidden);
    *out_width = hidden;
    return RW_OK;
}

rw_status rw_gated_cell_sizes(rw_node *node)
{
    const rw_cell *cell = cell_of(node);
    const int hidden = hidden_of(node), gates = cell->gates * hidden;
    node->size.state = planes_of(node, cell->states);
    node->size.saved = planes_of(node, cell->kept + 1);
    node->size.derived = rw_packed_reals(hidden, gates) + rw_packed_reals(gates, hidden);
    node->size.slices = rw_panels(gates) + rw_panels(hidden);
    node->size.scratch = workspace_reals(node);
    return RW_OK;
}

/* U^T for the recurrence, U for its gradients; a slice is a panel of either. */
void rw_gated_cell_prepare(const rw_node *node, const real *const *param, real *derived, int begin,
                           int end, real *scratch)
{
    int hidden = hidden_of(node), gates = node->in_width[0], first = rw_panels(gates);
    const real *weight = param[RW_CELL_WEIGHT];
    (void)scratch;
    for (int slice = begin; slice < end; slice++)
        if (slice < first)
            rw_pack_panel(hidden, gates, weight, true, slice, derived);
        else
            rw_pack_panel(gates, hidden, weight, false, slice - first,
                          derived + rw_packed_reals(hidden, gates));
}

/* ---- The recurrence --------------------------------------------------------- */

static real *kept_of(const rw_call *call, int row)
{
    return call->carry.saved + (size_t)row * call->node->size.saved;
}

static real *memory_of(const rw_call *call, int row)
{
    return kept_of(call, row) + planes_of(call->node, cell_of(call->node)->kept);
}

/* The place of the memory in a state, which begins with h. */
static size_t memory_in_state(const rw_node *node)
{
    return planes_of(node, cell_of(node)->states - 1);
}

/* The state before a row at the start of the chunk or after a reset; NULL for other rows. */
static const real *entering(const rw_call *call, int row, const real *zero)
{
    if (call->carry.starts && call->carry.starts[row]) return zero;
    if (row > 0) return NULL;
    return call->carry.state_in ? call->carry.state_in : zero;
}

static const real *memory_before(const rw_call *call, int row, const real *zero)
{
    const real *state = entering(call, row, zero);
    return state ? state + memory_in_state(call->node) : memory_of(call, row - 1);
}

/* The units of a thread: whole panels, so that no other thread reads its part of U. If planes do
 * not consist of whole panels, the first thread has all units. */
static rw_range units_of(const rw_call *call)
{
    const int hidden = hidden_of(call->node);
    const rw_team alone = {.size = 1}, *team = call->carry.team ? call->carry.team : &alone;
    if (hidden % RW_PANEL != 0) return (rw_range){0, team->rank == 0 ? hidden : 0};
    rw_range panels = rw_split(hidden / RW_PANEL, team->size, team->rank);
    return (rw_range){panels.begin * RW_PANEL, panels.end * RW_PANEL};
}

static int length_of(rw_range units)
{
    return (int)(units.end - units.begin);
}

static void meet(const rw_call *call)
{
    if (call->carry.team) rw_barrier_wait(call->carry.team->barrier, call->carry.team->size);
}

/* The units' columns, of `planes` planes, of the products of vectors of m reals with a
 * packed matrix. Every other row goes through the matrix backwards. */
static void product_of(const rw_node *node, rw_range units, int m, int planes, const real *packed,
                       int count, int row, const real *const *x, real *const *product)
{
    const int hidden = hidden_of(node);
    const bool backwards = row & 1;
    if (length_of(units) == hidden) {
        rw_packed_product(m, planes * hidden, packed, count, x, product, backwards);
        return;
    }
    for (int done = 0; done < planes && length_of(units) > 0; done++) {
        const int plane = backwards ? planes - 1 - done : done;
        const size_t first = (size_t)plane * (size_t)hidden + (size_t)units.begin;
        real *to[RW_MAX_TOGETHER];
        for (int i = 0; i < count; i++) to[i] = product[i] + first;
        rw_packed_product(m, length_of(units), packed + first * (size_t)m, count, x, to, backwards);
    }
}

/* The units of `planes` planes. */
static void copy_planes(const rw_node *node, rw_range units, int planes, const real *from, real *to)
{
    for (int plane = 0; plane < planes; plane++) {
        const size_t first = planes_of(node, plane) + (size_t)units.begin;
        memcpy(to + first, from + first, (size_t)length_of(units) * sizeof(real));
    }
}

/* A token of several sequences: h (all units) and memory before the token, the saved row of the
 * token, and h after the token. */
typedef struct {
    const real *h[RW_MAX_TOGETHER], *memory[RW_MAX_TOGETHER];
    real *row[RW_MAX_TOGETHER], *next[RW_MAX_TOGETHER];
} token;

static void advance(const rw_call *calls, int count, int row, rw_range units, real *const *product,
                    const token *now)
{
    const rw_node *node = calls[0].node;
    const rw_cell *cell = cell_of(node);
    const int hidden = hidden_of(node), gates = node->in_width[0];
    product_of(node, units, hidden, cell->gates, calls[0].derived, count, row, now->h, product);
    for (int i = 0; i < count; i++) {
        real *last = product[i] + gates - hidden, *kept = now->row[i];
        for (long j = units.begin; node->params > RW_CELL_BIAS && j < units.end; j++)
            last[j] += calls[i].param[RW_CELL_BIAS][j];
        const real *in = calls[i].in[0] + (size_t)row * (size_t)calls[i].in_ld[0];
        if (in != kept) copy_planes(node, units, cell->gates, in, kept);
        cell->forward(hidden, length_of(units), product[i] + units.begin,
                      now->memory[i] + units.begin, kept + units.begin,
                      kept + planes_of(node, cell->kept) + units.begin, now->next[i] + units.begin);
    }
}

/* Makes a state of h and of a saved row. */
static void hand_over(const rw_node *node, rw_range units, const real *h, const real *row,
                      real *state)
{
    copy_planes(node, units, 1, h, state);
    copy_planes(node, units, 1, row + planes_of(node, cell_of(node)->kept),
                state + memory_in_state(node));
}

void rw_gated_cell_summary(const rw_call *calls, int count)
{
    const rw_node *node = calls->node;
    const rw_range units = units_of(calls);
    token now;
    workspace w = workspace_of(calls);
    for (int t = 0; t < calls->rows; t++) {
        for (int i = 0; i < count; i++) {
            const real *state = entering(&calls[i], t, w.zero);
            now.h[i] = state ? state : w.h[(t - 1) & 1][i];
            now.memory[i] = memory_before(&calls[i], t, w.zero);
            now.row[i] = kept_of(&calls[i], t);
            now.next[i] = w.h[t & 1][i];
        }
        advance(calls, count, t, units, w.product, &now);
        for (int i = 0; i < count && t == calls->rows - 1; i++)
            hand_over(node, units, now.next[i], now.row[i], calls[i].carry.state);
        meet(calls);
    }
}

void rw_gated_cell_forward(const rw_call *call)
{
    const int hidden = hidden_of(call->node);
    for (int t = 0; t < call->rows; t++)
        cell_of(call->node)
            ->output(hidden, hidden, kept_of(call, t), memory_of(call, t),
                     call->out + (size_t)t * (size_t)call->out_ld);
}

void rw_gated_cell_step(const rw_call *call)
{
    const rw_node *node = call->node;
    const rw_range units = units_of(call);
    workspace w = workspace_of(call);
    token now = {.h = {call->carry.state},
                 .memory = {call->carry.state + memory_in_state(node)},
                 .row = {w.row},
                 .next = {call->out}};
    advance(call, 1, 0, units, w.product, &now);
    hand_over(node, units, call->out, w.row, call->carry.state);
}

/* ---- Its gradients ----------------------------------------------------------- */

/* Where the gradients with respect to U h + b of a row are. */
static real *dproduct_of(const rw_call *call, int row)
{
    const rw_cell *cell = cell_of(call->node);
    return kept_of(call, row) + planes_of(call->node, cell->kept - cell->gates);
}

/* dstate: the gradient of the state after the row, without the term of the row's output. */
static void cell_backward(const rw_call *call, int row, rw_range units, const real *zero,
                          real *dstate)
{
    const real *dout = call->back.dout + (size_t)row * (size_t)call->back.dout_ld;
    for (long j = units.begin; j < units.end; j++) dstate[j] += dout[j];
    cell_of(call->node)
        ->backward(hidden_of(call->node), length_of(units),
                   memory_before(call, row, zero) + units.begin, kept_of(call, row) + units.begin,
                   memory_of(call, row) + units.begin, dstate + units.begin);
}

/* Adds the gradient through the product; a reset state passes no gradient. */
static void finish_row(const rw_call *call, int row, rw_range units, const workspace *w,
                       const real *dh, real *dstate)
{
    if (call->carry.starts && call->carry.starts[row])
        copy_planes(call->node, units, cell_of(call->node)->states, w->zero, dstate);
    else
        for (long j = units.begin; j < units.end; j++) dstate[j] += dh[j];
}

void rw_gated_cell_adjoint(const rw_call *calls, int count)
{
    const rw_node *node = calls->node;
    const rw_range units = units_of(calls);
    const real *dproduct[RW_MAX_TOGETHER];
    int hidden = hidden_of(node), gates = node->in_width[0];
    const int states = cell_of(node)->states;
    const real *weight = calls->derived + rw_packed_reals(hidden, gates);
    workspace w = workspace_of(calls);
    for (int i = 0; i < count; i++)
        copy_planes(node, units, states,
                    calls[i].carry.dstate_out ? calls[i].carry.dstate_out : w.zero, w.dstate[i]);
    for (int t = calls->rows - 1; t >= 0; t--) {
        for (int i = 0; i < count; i++) {
            cell_backward(&calls[i], t, units, w.zero, w.dstate[i]);
            dproduct[i] = dproduct_of(&calls[i], t);
        }
        meet(calls);
        product_of(node, units, gates, 1, weight, count, t, dproduct, w.product);
        for (int i = 0; i < count; i++)
            finish_row(&calls[i], t, units, &w, w.product[i], w.dstate[i]);
    }
    for (int i = 0; i < count; i++)
        copy_planes(node, units, states, w.dstate[i], calls[i].carry.dstate_in);
    meet(calls);
}

static void input_gradient(const rw_call *call)
{
    int width = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++) {
        const real *from = kept_of(call, t);
        real *to = call->back.din[0] + (size_t)t * (size_t)call->back.din_ld[0];
        if (call->back.din_add[0])
            for (int j = 0; j < width; j++) to[j] += from[j];
        else
            memcpy(to, from, (size_t)width * sizeof(real));
    }
}

/* The product of row t used h of row t-1, which adjoint left there; the product of the first row
 * used state_in. */
void rw_gated_cell_backward(const rw_call *call)
{
    const rw_node *node = call->node;
    int hidden = hidden_of(node), gates = node->in_width[0], ld = (int)node->size.saved;
    real *dweight = call->back.dparam[RW_CELL_WEIGHT];
    if (call->back.din[0] && call->back.din[0] != call->carry.saved) input_gradient(call);
    if (call->carry.state_in)
        rw_gemm(true, false, gates, hidden, 1, 1, dproduct_of(call, 0), ld, call->carry.state_in,
                hidden, 1, dweight, hidden);
    if (call->rows > 1)
        rw_gemm(true, false, gates, hidden, call->rows - 1, 1, dproduct_of(call, 1), ld,
                memory_of(call, 0), ld, 1, dweight, hidden);
    for (int t = 0; node->params > RW_CELL_BIAS && t < call->rows; t++) {
        const real *last = dproduct_of(call, t) + gates - hidden;
        for (int j = 0; j < hidden; j++) call->back.dparam[RW_CELL_BIAS][j] += last[j];
    }
}

/* A transcendental function counts as four operations. */
double rw_gated_cell_flops(const rw_node *node, int rows)
{
    double hidden = hidden_of(node), gates = cell_of(node)->gates;
    return rows * hidden * gates * (2 * hidden + 8);
}

/* ---- Blocks ------------------------------------------------------------------ */

const rw_key rw_gated_cell_keys[] = {
    {.name = "hidden",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 65536,
     .doc = "units of the recurrence, H; 0: the width of the model"},
    RW_KEYS_END,
};

static rw_status add_recurrence(rw_graph *graph, const rw_gated_block *block, int hidden,
                                rw_value in, rw_value *y)
{
    const rw_gated_cell attributes = {block->cell, hidden};
    const rw_param weight = {.name = "recurrent.weight",
                             .rows = (long)block->cell->gates * hidden,
                             .cols = hidden,
                             .group = RW_GROUP_WEIGHT,
                             .init = rw_init_normal,
                             .scale = 1 / sqrt(hidden),
                             .wide = true};
    const rw_param bias = {.name = "recurrent.bias",
                           .rows = 1,
                           .cols = hidden,
                           .group = RW_GROUP_PLAIN,
                           .init = rw_init_constant};
    int params[RW_CELL_MAX_PARAMS];
    RW_TRY(rw_graph_param(graph, &weight, &params[RW_CELL_WEIGHT]));
    if (block->bias) RW_TRY(rw_graph_param(graph, &bias, &params[RW_CELL_BIAS]));
    return rw_graph_apply(graph, block->op, &attributes, sizeof attributes, &in, 1, params,
                          block->bias ? 2 : 1, y);
}

rw_status rw_gated_cell_sample(rw_graph *graph, const rw_gated_block *block, rw_value x,
                               rw_value *y)
{
    const int hidden = x.width / 2;
    const rw_linear_options in = {.name = "in", .width = block->cell->gates * hidden, .bias = true};
    rw_value projected;
    RW_TRY(rw_linear(graph, x, &in, &projected));
    return add_recurrence(graph, block, hidden, projected, y);
}

rw_status rw_gated_cell_build(rw_graph *graph, const rw_config *config, const rw_gated_block *block,
                              rw_value x, rw_value *y)
{
    int chosen = (int)rw_config_int(config, "hidden"), hidden = chosen ? chosen : x.width;
    rw_linear_options in = {.name = "in",
                            .width = block->cell->gates * hidden,
                            .bias = true,
                            .bias_init = block->in_bias};
    rw_linear_options out = {.name = "out", .width = x.width, .output = true};
    rw_value projected, recurrent;
    RW_TRY(rw_linear(graph, x, &in, &projected));
    RW_TRY(add_recurrence(graph, block, hidden, projected, &recurrent));
    return rw_linear(graph, recurrent, &out, y);
}
