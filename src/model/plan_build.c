/* Builds a plan (model/plan.h), in this order:
 *
 *   set_ranges       the chunk tree; chunks, sequences and micro-batches of this rank
 *   plan_nodes       copies of the nodes with their sizes; offsets in the derived data
 *   plan_carry       past rows of global ops
 *   plan_segments    cuts at carries and at blocks
 *   plan_gradients   which values need a gradient; who writes it first and who adds to it
 *   plan_leaves      where the gradient of a chunk keeps each parameter
 *   rw_plan_memory   where values, gradients and carries lie (model/plan_memory.h)
 */
#include "base/memory.h"
#include "model/plan_memory.h"

/* ---- Sizes and ranges -------------------------------------------------- */

static rw_status check_ranks(const rw_plan *p, const rw_layout *layout)
{
    if (p->tree.chunks < layout->sp)
        return rw_fail(RW_USAGE,
                       "%d ranks share a sequence of only %ld chunks (%ld tokens in chunks of %d); "
                       "use a smaller --sp, a smaller model.chunk or a longer data.length",
                       layout->sp, p->tree.chunks, p->options.length, p->options.chunk);
    if (p->options.batch < layout->dp)
        return rw_fail(RW_USAGE,
                       "%d data-parallel ranks for a batch of only %ld sequences; use a smaller "
                       "--dp or a larger batch",
                       layout->dp, p->options.batch);
    long nodes = (p->options.batch / layout->dp + 1) * 2 * (p->tree.inner + 1);
    if (layout->sp > 1 && nodes > RW_TREE_MAX_DEPTH)
        return rw_fail(RW_USAGE,
                       "%ld sequences a rank are too many for ranks that share sequences; use "
                       "more data-parallel ranks (--dp) or a smaller data.batch",
                       p->options.batch / layout->dp);
    return RW_OK;
}

static rw_status set_ranges(rw_plan *p, const rw_layout *layout)
{
    const rw_plan_options *o = &p->options;
    p->tree = rw_tree_of(o->batch, (o->length + o->chunk - 1) / o->chunk);
    RW_TRY(check_ranks(p, layout));
    p->chunks = rw_split(p->tree.chunks, layout->sp, layout->sp_rank);
    p->sequences = rw_split(o->batch, layout->dp, layout->dp_rank);
    /* All ranks take the same number of micro-batches: of the largest share. */
    long most = (o->batch + layout->dp - 1) / layout->dp;
    p->micro = (most + o->accumulate - 1) / o->accumulate;
    return RW_OK;
}

/* Copies the nodes and asks each op for its sizes. */
static rw_status plan_nodes(rw_plan *p)
{
    p->node_count = rw_graph_nodes(p->graph);
    size_t n = (size_t)p->node_count;
    RW_TRY(rw_alloc(n, sizeof *p->nodes, "the plan", &p->nodes));
    RW_TRY(rw_alloc(n, sizeof *p->places, "the plan", &p->places));
    RW_TRY(
        rw_alloc((size_t)rw_graph_values(p->graph) + 1, sizeof *p->values, "the plan", &p->values));
    const rw_setting setting = {
        .chunk = p->options.chunk,
        .precision = p->options.precision,
        /* The state after the last chunk may take the whole tree at once. */
        .levels = p->tree.inner + p->options.carry,
    };
    for (int i = 0; i < p->node_count; i++) {
        p->nodes[i] = *rw_graph_node(p->graph, i);
        RW_TRY(rw_node_set(&p->nodes[i], &setting));
        if (p->nodes[i].out >= 0) p->values[p->nodes[i].out].block = p->nodes[i].block;
        p->places[i].derived = p->derived_total;
        p->derived_total += rw_whole_lines(p->nodes[i].size.derived);
        if (p->nodes[i].size.scratch > p->op_scratch) p->op_scratch = p->nodes[i].size.scratch;
    }
    return RW_OK;
}

static rw_status refuse_carry(const rw_node *node)
{
    return rw_fail(RW_USAGE,
                   "data.carry: op %s of block %d %s; leave data.carry false, or use blocks that "
                   "carry a state or rows (such as ssd, conv, attention)",
                   node->op->name, node->block,
                   node->op->sees_ahead ? "looks ahead (bidirectional: true), beyond the step"
                                        : "does not hand on what it has seen to the next step");
}

/* Past rows are whole chunks, at least one chunk. */
static long memory_of(const rw_plan_options *o, const rw_node *node)
{
    long rows = node->op->global->past_rows(node, o->length);
    long chunks = (rows + o->chunk - 1) / o->chunk;
    if (rows > o->length) return o->length;
    return chunks > 0 ? chunks * o->chunk : o->chunk;
}

/* The last chunk hands over the state of a whole chunk. Each op must be able to hand over a state
 * or past rows. */
static rw_status plan_carry(rw_plan *p)
{
    const rw_plan_options *o = &p->options;
    if (!o->carry) return RW_OK;
    if (o->length % o->chunk)
        return rw_fail(RW_USAGE,
                       "data.carry: sequences of %ld tokens do not end with a chunk of %d; make "
                       "data.length a multiple of model.chunk",
                       o->length, o->chunk);
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!node->op->global) continue;
        if (!node->op->global->past_rows) return refuse_carry(node);
        p->places[i].past_rows = memory_of(o, node);
    }
    return RW_OK;
}

/* ---- Segments ---------------------------------------------------------- */

/* Is value v, made in `block`, used there (inside), or in another block? */
static bool is_used(const rw_plan *p, int v, int block, bool inside)
{
    for (int i = 0; i < p->node_count; i++)
        for (int k = 0; k < p->nodes[i].ins; k++)
            if (p->nodes[i].in[k] == v && (p->nodes[i].block == block) == inside) return true;
    return false;
}

/* An op that runs in the exchange needs stored inputs. The gradient of a value with uses inside and
 * outside of its block must not be added to twice. */
static bool can_recompute_by_chunk(const rw_plan *p, int block)
{
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->block != block) continue;
        if (rw_runs_in_exchange(node->op)) return false;
        if (node->out >= 0 && is_used(p, node->out, block, true) &&
            is_used(p, node->out, block, false))
            return false;
    }
    return true;
}

/* Sets the block members of segments [begin, end). */
static void finish_block(rw_plan *p, int begin, int end)
{
    rw_recompute recompute = p->options.recompute;
    bool turns = p->options.training && end == p->segment_count && end - begin == 1;
    if (turns) recompute = RW_RECOMPUTE_CHUNK;
    if (recompute == RW_RECOMPUTE_CHUNK && !can_recompute_by_chunk(p, p->segments[begin].block))
        recompute = turns ? p->options.recompute : RW_RECOMPUTE_BLOCK;
    for (int s = begin; s < end; s++) {
        p->segments[s].begin = begin;
        p->segments[s].end = end;
        p->segments[s].recompute = recompute;
        p->segments[s].recomputed = recompute == RW_RECOMPUTE_BLOCK;
    }
}

/* Cuts at carries and at blocks. A block whose first node has a carry begins with an empty segment,
 * closed by the summary of the node. */
static rw_status plan_segments(rw_plan *p)
{
    RW_TRY(rw_alloc(2 * (size_t)p->node_count + 1, sizeof *p->segments, "the plan", &p->segments));
    rw_segment *s = p->segments;
    *s = (rw_segment){.closes = -1};
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (i > 0 && node->block != p->nodes[i - 1].block) {
            s++;
            *s = (rw_segment){.first = i, .last = i, .closes = -1, .block = node->block};
        }
        if (rw_has_carry(node->op)) {
            s->closes = i;
            s++;
            *s = (rw_segment){.first = i, .opens = true, .closes = -1, .block = node->block};
        }
        s->last = i + 1;
    }
    p->segment_count = (int)(s - p->segments) + 1;
    s = p->segments;
    for (int i = 0, end; i < p->segment_count; i = end) {
        for (end = i; end < p->segment_count && s[end].block == s[i].block;) end++;
        finish_block(p, i, end);
    }
    return rw_alloc((size_t)p->segment_count * (size_t)rw_graph_values(p->graph) + 1,
                    sizeof *p->recomputes, "the plan", &p->recomputes);
}

/* ---- Gradients: who needs one, who adds, where it goes in a leaf -------- */

static void find_needs(rw_plan *p)
{
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        bool needs = node->params > 0;
        for (int k = 0; k < node->ins; k++) needs = needs || p->values[node->in[k]].needs_gradient;
        if (node->out >= 0) p->values[node->out].needs_gradient = needs;
    }
}

/* Decides whether backward of node i is the first to write each input's
 * gradient. `written` marks columns by value. */
static rw_status plan_adds(rw_plan *p, bool *const *written, int i)
{
    const rw_node *node = &p->nodes[i];
    for (int k = 0; k < node->ins; k++) {
        bool *column = written[node->in[k]] + node->in_begin[k];
        int before = 0;
        for (int c = 0; c < node->in_width[k]; c++) {
            before += column[c];
            column[c] = true;
        }
        if (before && before != node->in_width[k])
            return rw_fail(RW_ERROR, "op %s (node %d) overlaps another use of its input in part",
                           node->op->name, i);
        p->places[i].add[k] = before > 0;
    }
    return RW_OK;
}

static rw_status check_written(const rw_plan *p, bool *const *written)
{
    for (int i = 0; i < p->node_count; i++) {
        int v = p->nodes[i].out;
        if (v < 0 || !p->values[v].needs_gradient) continue;
        for (int c = 0; c < p->nodes[i].out_width; c++)
            if (!written[v][c])
                return rw_fail(RW_ERROR, "column %d of the output of op %s (node %d) is not used",
                               c, p->nodes[i].op->name, i);
    }
    return RW_OK;
}

static rw_status plan_backward_order(rw_plan *p, bool *const *written)
{
    for (int s = p->segment_count - 1; s >= 0; s--) {
        const rw_segment *segment = &p->segments[s];
        if (segment->closes >= 0) RW_TRY(plan_adds(p, written, segment->closes));
        for (int i = segment->last - 1; i >= segment->first; i--)
            if (!rw_opens(segment, i)) RW_TRY(plan_adds(p, written, i));
    }
    return check_written(p, written);
}

static rw_status plan_gradients(rw_plan *p)
{
    rw_status status = RW_OK;
    size_t values = (size_t)rw_graph_values(p->graph), columns = 0;
    bool **written = NULL, *all = NULL;
    for (size_t v = 0; v < values; v++) columns += (size_t)rw_graph_width(p->graph, (int)v);
    RW_TRY_DONE(rw_alloc(values + 1, sizeof *written, "the plan", &written));
    RW_TRY_DONE(rw_alloc(columns + 1, sizeof *all, "the plan", &all));
    bool *next = all;
    for (size_t v = 0; v < values; v++) {
        written[v] = next;
        next += rw_graph_width(p->graph, (int)v);
    }
    find_needs(p);
    RW_TRY_DONE(plan_backward_order(p, written));
done:
    rw_free(&written);
    rw_free(&all);
    return status;
}

/* Gives the parameters of node i their places in the leaf of a segment. */
static void add_to_leaf(rw_plan *p, rw_segment *segment, int i)
{
    const rw_node *node = &p->nodes[i];
    for (int k = 0; k < node->params; k++) {
        p->places[i].leaf_param[k] = segment->leaf;
        segment->leaf += rw_whole_lines((size_t)(node->param_rows[k] * node->param_cols[k]));
    }
    p->places[i].leaf_derived = segment->leaf;
    segment->leaf += rw_whole_lines(node->size.derived_grad);
}

static void plan_leaves(rw_plan *p)
{
    for (int s = 0; s < p->segment_count; s++) {
        rw_segment *segment = &p->segments[s];
        for (int i = segment->first; i < segment->last; i++)
            if (!rw_opens(segment, i)) add_to_leaf(p, segment, i);
        if (segment->closes >= 0) add_to_leaf(p, segment, segment->closes);
        if (segment->leaf > p->largest_leaf) p->largest_leaf = segment->leaf;
    }
}

/* ---- The whole ---------------------------------------------------------- */

rw_status rw_plan_new(const rw_graph *graph, const rw_layout *layout,
                      const rw_plan_options *options, rw_plan **out)
{
    rw_status status = RW_OK;
    rw_plan *p = NULL;
    RW_TRY(rw_alloc(1, sizeof *p, "the plan", &p));
    p->graph = graph;
    p->options = *options;
    RW_TRY_DONE(set_ranges(p, layout));
    RW_TRY_DONE(plan_nodes(p));
    RW_TRY_DONE(plan_carry(p));
    RW_TRY_DONE(plan_segments(p));
    if (options->training) {
        RW_TRY_DONE(plan_gradients(p));
        plan_leaves(p);
    }
    RW_TRY_DONE(rw_plan_memory(p));
done:
    if (status != RW_OK) rw_plan_destroy(&p);
    *out = p;
    return status;
}
