#include "measure/op_rig.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

/* For ops with a global carry: the sequence length, and the most sequences, since the work may grow
 * with the square of the length. For other ops: the most chunks. */
enum { GLOBAL_LENGTH = 4096, MOST_SEQUENCES = 8, MOST_CHUNKS = 1 << 16 };

/* ---- Sizes ------------------------------------------------------------------- */

static bool is_global(const rw_op_rig *r)
{
    return r->node.op->global;
}

static void set_span(rw_op_rig *r)
{
    const rw_layout *layout = r->layout;
    long chunk = r->node.setting.chunk, least = layout->sp * chunk;
    r->span = (rw_span){.layout = layout, .length = GLOBAL_LENGTH, .chunk = (int)chunk};
    if (r->span.length < least) r->span.length = least;
    r->span.rows = rw_span_rows(&r->span, layout->sp_rank);
    /* The same on all ranks, and so is the number of sequences. */
    r->span.stride = (rw_span_most_rows(&r->span) + chunk - 1) / chunk * chunk;
}

/* Columns of the data that an op reads: `features`, or the targets of a loss. */
static long data_columns(const rw_node *node)
{
    if (node->op->is_loss) return node->param_rows[0];
    return node->ins + node->params == 0 ? node->out_width : 0;
}

static void set_sizes(rw_op_rig *r)
{
    const rw_node *node = &r->node;
    r->rows = node->setting.chunk;
    if (is_global(r)) {
        set_span(r);
        r->rows = r->span.stride;
    }
    size_t rows = (size_t)r->rows;
    for (int k = 0; k < node->ins; k++)
        r->per[RW_RIG_IN + k] = r->per[RW_RIG_DIN + k] = rows * (size_t)node->in_width[k];
    r->per[RW_RIG_OUT] = r->per[RW_RIG_DOUT] = rows * (size_t)node->out_width;
    r->per[RW_RIG_TRANSITION] = node->size.transition;
    for (int a = RW_RIG_STATE; a <= RW_RIG_DSTATE_IN; a++) r->per[a] = node->size.state;
    r->per[RW_RIG_SAVED] = rows * node->size.saved;
    r->per[RW_RIG_DATA] = rows * (size_t)data_columns(node);
}

/* As many as fill the bytes, the same number for every thread. */
static void set_slots(rw_op_rig *r, double bytes)
{
    size_t reals = 0;
    long unit = is_global(r) ? 1 : r->layout->threads;
    if (r->node.op->sequence) unit *= RW_MAX_TOGETHER;
    for (int a = 0; a < RW_RIG_ARRAYS; a++) reals += r->per[a];
    double wanted = bytes / ((double)(reals + 1) * (double)sizeof(real));
    long most = is_global(r) ? MOST_SEQUENCES : MOST_CHUNKS;
    long slots = wanted < (double)most ? (long)wanted : most - 1;
    r->slots = (slots / unit + 1) * unit;
    r->span.sequences = r->span.most = r->slots;
}

/* ---- Memory ------------------------------------------------------------------ */

/* Every slot holds the same numbers, around zero. */
static rw_status new_array(rw_op_rig *r, int a)
{
    size_t per = r->per[a];
    if (per == 0) return RW_OK;
    RW_TRY(rw_alloc(per * (size_t)r->slots, sizeof(real), "what an op works on", &r->array[a]));
    rw_random random = rw_random_stream(1, RW_RANDOM_TEST, (uint64_t)a);
    for (size_t i = 0; i < per; i++) r->array[a][i] = (real)(rw_random_uniform(random, i) - 0.5);
    for (long s = 1; s < r->slots; s++)
        memcpy(r->array[a] + (size_t)s * per, r->array[a], per * sizeof(real));
    return RW_OK;
}

/* Ids for a table with as many rows as the first parameter. */
static rw_status new_tokens(rw_op_rig *r)
{
    long vocab = r->node.params ? r->node.param_rows[0] : 1;
    rw_random random = rw_random_stream(1, RW_RANDOM_TEST, RW_RIG_ARRAYS);
    RW_TRY(rw_alloc((size_t)r->rows, sizeof *r->tokens, "tokens", &r->tokens));
    for (long i = 0; i < r->rows; i++)
        r->tokens[i] = (int32_t)rw_random_below(random, (uint64_t)i, (uint64_t)vocab);
    return RW_OK;
}

/* Where the gradient of parameter k lies in a thread's leaf. */
static size_t place_in_leaf(const rw_node *node, int k)
{
    size_t place = 0;
    for (int i = 0; i < k; i++)
        place += rw_whole_lines((size_t)(node->param_rows[i] * node->param_cols[i]));
    return place;
}

static rw_status allocate(rw_op_rig *r)
{
    const rw_node *node = &r->node;
    size_t threads = (size_t)r->layout->threads, workspace = 0;
    for (int a = 0; a < RW_RIG_ARRAYS; a++) RW_TRY(new_array(r, a));
    RW_TRY(new_tokens(r));
    if (is_global(r) && node->op->global->workspace)
        workspace = node->op->global->workspace(node, &r->span);
    r->scratch_each = rw_whole_lines(node->size.scratch + 16);
    r->dderived = place_in_leaf(node, node->params);
    r->leaf_each = r->dderived + rw_whole_lines(node->size.derived_grad + 16);
    RW_TRY(rw_alloc(node->size.derived, sizeof(real), "derived parameters", &r->derived));
    RW_TRY(rw_alloc(workspace, sizeof(real), "work memory of an op", &r->workspace));
    RW_TRY(rw_alloc(threads * r->scratch_each, sizeof(real), "scratch memory", &r->scratch));
    RW_TRY(rw_alloc(threads * r->leaf_each, sizeof(real), "gradients", &r->leaf));
    return rw_alloc(threads, sizeof *r->losses, "losses", &r->losses);
}

rw_status rw_op_rig_open(const rw_layout *layout, const rw_model *model, int index, double bytes,
                         rw_op_rig *r)
{
    *r = (rw_op_rig){.layout = layout, .model = model};
    RW_TRY(rw_model_node(model, index, &r->node));
    set_sizes(r);
    set_slots(r, bytes);
    if (is_global(r) && r->node.op->global->fits)
        RW_TRY(r->node.op->global->fits(&r->node, &r->span));
    RW_TRY(allocate(r));
    rw_op_rig_prepare(r);
    return RW_OK;
}

void rw_op_rig_close(rw_op_rig *r)
{
    for (int a = 0; a < RW_RIG_ARRAYS; a++) rw_free(&r->array[a]);
    rw_free(&r->tokens);
    rw_free(&r->derived);
    rw_free(&r->workspace);
    rw_free(&r->scratch);
    rw_free(&r->leaf);
    rw_free(&r->losses);
}

/* ---- What a pass does ---------------------------------------------------------- */

double rw_op_rig_tokens(const rw_op_rig *r)
{
    const rw_layout *layout = r->layout;
    if (is_global(r)) return (double)(r->slots * r->span.length) * layout->dp;
    return (double)(r->slots * r->rows) * layout->size;
}

rw_cost rw_op_rig_cost(const rw_op_rig *r, bool backward)
{
    int rows = is_global(r) ? (int)r->span.length : (int)r->rows;
    rw_cost cost = rw_op_cost(&r->node, rows, backward);
    double times = rw_op_rig_tokens(r) / rows;
    return (rw_cost){.flops = times * cost.flops, .bytes = times * cost.bytes};
}

/* ---- Calls --------------------------------------------------------------------- */

static real *of_slot(const rw_op_rig *r, int a, long slot)
{
    return r->array[a] ? r->array[a] + (size_t)slot * r->per[a] : NULL;
}

static const real *param_of(const rw_op_rig *r, int k)
{
    return r->model->weights + rw_graph_param_at(r->model->graph, r->node.param[k])->offset;
}

static real *leaf_of(const rw_op_rig *r, int thread)
{
    return r->leaf + (size_t)thread * r->leaf_each;
}

static void set_rows(const rw_op_rig *r, long slot, rw_call *c)
{
    const rw_node *node = &r->node;
    for (int k = 0; k < node->ins; k++) {
        c->in[k] = of_slot(r, RW_RIG_IN + k, slot);
        c->back.din[k] = of_slot(r, RW_RIG_DIN + k, slot);
        c->in_ld[k] = c->back.din_ld[k] = node->in_width[k];
    }
    c->out = of_slot(r, RW_RIG_OUT, slot);
    c->back.dout = of_slot(r, RW_RIG_DOUT, slot);
    c->out_ld = c->back.dout_ld = node->out_width;
    c->carry.saved = of_slot(r, RW_RIG_SAVED, slot);
    c->data.tokens = c->data.targets = r->tokens;
    c->data.features = c->data.target_features = of_slot(r, RW_RIG_DATA, slot);
}

static rw_call call_of(const rw_op_rig *r, long slot)
{
    const rw_node *node = &r->node;
    int thread = omp_get_thread_num();
    rw_call c = {.node = node, .rows = (int)r->rows, .at = {.training = true, .seed = 1}};
    c.at.position = slot * r->rows;
    set_rows(r, slot, &c);
    for (int k = 0; k < node->params; k++) {
        c.param[k] = param_of(r, k);
        c.back.dparam[k] = leaf_of(r, thread) + place_in_leaf(node, k);
    }
    c.derived = r->derived;
    c.back.dderived = leaf_of(r, thread) + r->dderived;
    c.scratch = r->scratch + (size_t)thread * r->scratch_each;
    c.loss.sum = r->losses + thread;
    c.loss.scale = (real)(1 / (double)r->rows);
    c.carry.transition = of_slot(r, RW_RIG_TRANSITION, slot);
    c.carry.state = of_slot(r, RW_RIG_STATE, slot);
    c.carry.state_in = of_slot(r, RW_RIG_STATE_IN, slot);
    c.carry.dstate_out = of_slot(r, RW_RIG_DSTATE_OUT, slot);
    c.carry.dstate_in = of_slot(r, RW_RIG_DSTATE_IN, slot);
    return c;
}

static void run_slots(const rw_op_rig *r, void (*work)(const rw_call *))
{
    if (!work) return;
#pragma omp parallel num_threads(r->layout->threads)
    {
        rw_range mine = rw_split(r->slots, omp_get_num_threads(), omp_get_thread_num());
        for (long i = mine.begin; i < mine.end; i++) {
            const rw_call call = call_of(r, i);
            work(&call);
        }
    }
}

/* RW_MAX_TOGETHER slots at a time. */
static void run_in_order(const rw_op_rig *r, void (*work)(const rw_call *calls, int count))
{
#pragma omp parallel num_threads(r->layout->threads)
    {
        rw_range mine =
            rw_split(r->slots / RW_MAX_TOGETHER, omp_get_num_threads(), omp_get_thread_num());
        for (long i = mine.begin; i < mine.end; i++) {
            rw_call calls[RW_MAX_TOGETHER];
            for (int k = 0; k < RW_MAX_TOGETHER; k++)
                calls[k] = call_of(r, i * RW_MAX_TOGETHER + k);
            work(calls, RW_MAX_TOGETHER);
        }
    }
}

static rw_global global_of(const rw_op_rig *r)
{
    const rw_node *node = &r->node;
    rw_global g = {.node = node, .span = r->span, .workspace = r->workspace};
    for (int k = 0; k < node->ins; k++) {
        g.in[k] = r->array[RW_RIG_IN + k];
        g.din[k] = r->array[RW_RIG_DIN + k];
        g.in_ld[k] = g.din_ld[k] = node->in_width[k];
    }
    g.out = r->array[RW_RIG_OUT];
    g.dout = r->array[RW_RIG_DOUT];
    g.out_ld = g.dout_ld = node->out_width;
    g.saved = r->array[RW_RIG_SAVED];
    return g;
}

void rw_op_rig_forward(rw_op_rig *r)
{
    const rw_op *op = r->node.op;
    if (is_global(r)) {
        rw_global g = global_of(r);
        op->global->forward(&g);
        return;
    }
    if (op->sequence) run_in_order(r, op->sequence->summary);
    run_slots(r, rw_summary(op));
    run_slots(r, op->forward);
}

void rw_op_rig_backward(rw_op_rig *r)
{
    const rw_op *op = r->node.op;
    if (is_global(r)) {
        rw_global g = global_of(r);
        op->global->backward(&g);
        return;
    }
    if (op->sequence) run_in_order(r, op->sequence->adjoint);
    run_slots(r, rw_adjoint(op));
    run_slots(r, op->backward);
}

void rw_op_rig_prepare(rw_op_rig *r)
{
    const rw_node *node = &r->node;
    const real *param[RW_MAX_OP_PARAMS];
    if (!node->op->prepare) return;
    for (int k = 0; k < node->params; k++) param[k] = param_of(r, k);
#pragma omp parallel num_threads(r->layout->threads)
    {
        int thread = omp_get_thread_num();
        rw_range slices = rw_split(node->size.slices, omp_get_num_threads(), thread);
        if (slices.end > slices.begin)
            node->op->prepare(node, param, r->derived, (int)slices.begin, (int)slices.end,
                              r->scratch + (size_t)thread * r->scratch_each);
    }
}

void rw_op_rig_prepare_backward(rw_op_rig *r)
{
    const rw_node *node = &r->node;
    const real *param[RW_MAX_OP_PARAMS];
    real *dparam[RW_MAX_OP_PARAMS];
    if (!node->op->prepare_backward || !node->size.derived_grad) return;
    for (int k = 0; k < node->params; k++) {
        param[k] = param_of(r, k);
        dparam[k] = leaf_of(r, 0) + place_in_leaf(node, k);
    }
#pragma omp parallel num_threads(r->layout->threads)
    {
        int thread = omp_get_thread_num();
        rw_range slices = rw_split(node->size.slices, omp_get_num_threads(), thread);
        if (slices.end > slices.begin)
            node->op->prepare_backward(node, param, r->derived, leaf_of(r, 0) + r->dderived, dparam,
                                       (int)slices.begin, (int)slices.end,
                                       r->scratch + (size_t)thread * r->scratch_each);
    }
}
