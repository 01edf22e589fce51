#include "model/plan.h"

#include "base/memory.h"

/* When things happen, on one time line. With recomputation the backward half
 * alternates: segments of a block forward again, then backward. */
typedef struct {
    int *forward, *again, *backward; /* by segment */
    int *segment_of;                 /* by node: where its forward runs */
    int *closed_by;                  /* by node with a carry: segment of its summary */
} timetable;

static bool has_carry(const rw_node *node)
{
    return node->op->carry != RW_CARRY_NONE;
}

long rw_plan_rows(const rw_plan *plan)
{
    long begin = plan->chunks.begin * plan->options.chunk;
    long end = plan->chunks.end * plan->options.chunk;
    return (end > plan->options.length ? plan->options.length : end) - begin;
}

int rw_plan_chunk_rows(const rw_plan *plan, long chunk)
{
    long left = plan->options.length - chunk * plan->options.chunk;
    return left < plan->options.chunk ? (int)left : plan->options.chunk;
}

int rw_plan_run_end(const rw_plan *plan, int node, int last)
{
    const rw_node *nodes = plan->nodes;
    int end = node + 1;
    if (!nodes[node].op->rowwise || has_carry(&nodes[node])) return end;
    while (end < last && nodes[end].op->rowwise && !has_carry(&nodes[end])) end++;
    return end;
}

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

/* Copies the nodes and lets each op size itself for chunks of this length. */
static rw_status plan_nodes(rw_plan *p)
{
    p->node_count = rw_graph_nodes(p->graph);
    size_t n = (size_t)p->node_count;
    RW_TRY(rw_alloc(n, sizeof *p->nodes, "the plan", &p->nodes));
    RW_TRY(rw_alloc(n, sizeof *p->derived, "the plan", &p->derived));
    for (int i = 0; i < p->node_count; i++) {
        p->nodes[i] = *rw_graph_node(p->graph, i);
        p->nodes[i].chunk = p->options.chunk;
        p->nodes[i].levels = p->tree.inner;
        if (!p->nodes[i].lanes) p->nodes[i].lanes = 1;
        RW_TRY(p->nodes[i].op->shape(&p->nodes[i]));
        p->derived[i] = p->derived_total;
        p->derived_total += (p->nodes[i].derived + 15) / 16 * 16;
        if (p->nodes[i].scratch > p->op_scratch) p->op_scratch = p->nodes[i].scratch;
    }
    return RW_OK;
}

/* ---- Segments ---------------------------------------------------------- */

/* Cuts at carries and at blocks; a block that begins with a carry begins with
 * an empty segment that its summary closes. */
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
        if (has_carry(node)) {
            s->closes = i;
            s++;
            *s = (rw_segment){.first = i, .opens = true, .closes = -1, .block = node->block};
        }
        s->last = i + 1;
    }
    p->segment_count = (int)(s - p->segments) + 1;
    return RW_OK;
}

static void time_backward_of_block(const rw_plan *p, timetable *t, int first, int last, int *now)
{
    for (int s = first; p->options.recompute && s < last; s++) t->again[s] = (*now)++;
    for (int s = last - 1; s >= first; s--) t->backward[s] = (*now)++;
}

static void fill_timetable(const rw_plan *p, timetable *t)
{
    int now = 0, last = p->segment_count;
    for (int s = 0; s < p->segment_count; s++) {
        const rw_segment *segment = &p->segments[s];
        t->forward[s] = now++;
        for (int i = segment->first; i < segment->last; i++) t->segment_of[i] = s;
        if (segment->closes >= 0) t->closed_by[segment->closes] = s;
    }
    for (int s = p->segment_count - 1; s >= 0; s--)
        if (s == 0 || p->segments[s - 1].block != p->segments[s].block) {
            time_backward_of_block(p, t, s, last, &now);
            last = s;
        }
}

/* ---- Gradients: who needs one, who adds, where it goes in a leaf -------- */

static void find_needs(rw_plan *p)
{
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        bool needs = node->params > 0;
        for (int k = 0; k < node->ins; k++) needs = needs || p->needs_gradient[node->in[k]];
        if (node->out >= 0) p->needs_gradient[node->out] = needs;
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
        p->add[i][k] = before > 0;
    }
    return RW_OK;
}

static rw_status check_written(const rw_plan *p, bool *const *written)
{
    for (int i = 0; i < p->node_count; i++) {
        int v = p->nodes[i].out;
        if (v < 0 || !p->needs_gradient[v]) continue;
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
        p->leaf_param[i][k] = segment->leaf;
        segment->leaf += (size_t)(node->param_rows[k] * node->param_cols[k] + 15) / 16 * 16;
    }
    p->leaf_derived[i] = segment->leaf;
    segment->leaf += (node->derived_grad + 15) / 16 * 16;
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

/* ---- Memory ------------------------------------------------------------ */

/* The lifetimes of everything that may be stored. */
typedef struct {
    rw_lifetime *value, *gradient;            /* by value id */
    rw_lifetime *map, *part, *state, *dstate; /* by node */
    rw_lifetime *saved;                       /* by node */
    int count;                                /* of all, contiguous from `value` */
    int *value_segment, *gradient_segment;    /* by value: the one that touches it; -2: several */
    bool *boundary;                           /* by value: crosses blocks */
} lifetimes;

static void touch(int *only, int segment)
{
    if (*only == -1) *only = segment;
    if (*only != segment) *only = -2;
}

static void touch_forward(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    touch(&l->value_segment[v], segment);
    rw_lifetime_use(&l->value[v], 0, t->forward[segment]);
    if (p->options.training && p->options.recompute)
        rw_lifetime_use(&l->value[v], l->boundary[v] ? 0 : 1, t->again[segment]);
}

static int backward_phase(const rw_plan *p, const lifetimes *l, int v)
{
    return p->options.recompute && !l->boundary[v];
}

/* A value that backward reads must be stored. */
static void keep(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    l->value_segment[v] = -2;
    rw_lifetime_use(&l->value[v], backward_phase(p, l, v), t->backward[segment]);
}

static void touch_gradient(const timetable *t, lifetimes *l, int v, int segment)
{
    touch(&l->gradient_segment[v], segment);
    rw_lifetime_use(&l->gradient[v], 0, t->backward[segment]);
}

/* What backward (and adjoint) of node i in `segment` touches. */
static void use_backward(const rw_plan *p, const timetable *t, lifetimes *l, int i, int segment,
                         bool writes_inputs)
{
    const rw_node *node = &p->nodes[i];
    for (int k = 0; k < node->ins; k++) {
        if (node->op->keeps_in >> k & 1) keep(p, t, l, node->in[k], segment);
        if (writes_inputs) touch_gradient(t, l, node->in[k], segment);
    }
    if (node->out < 0) return;
    if (node->op->keeps_out) keep(p, t, l, node->out, segment);
    touch_gradient(t, l, node->out, segment);
}

static void use_node(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    const rw_node *node = &p->nodes[i];
    int segment = t->segment_of[i], summary = has_carry(node) ? t->closed_by[i] : segment;
    if (node->out >= 0) touch_forward(p, t, l, node->out, segment);
    for (int k = 0; k < node->ins; k++) {
        touch_forward(p, t, l, node->in[k], segment);
        touch_forward(p, t, l, node->in[k], summary);
    }
    if (!p->options.training) return;
    use_backward(p, t, l, i, summary, true);
    if (has_carry(node)) use_backward(p, t, l, i, segment, false);
}

/* The carry's buffers: see the drawing in plan.h for when each is written. */
static void use_carry(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    int opened = t->segment_of[i], closed = t->closed_by[i], phase = p->options.recompute;
    rw_lifetime_use(&l->map[i], 0, t->forward[closed]);
    rw_lifetime_use(&l->part[i], 0, t->forward[closed]);
    rw_lifetime_use(&l->state[i], 0, t->forward[closed]);
    rw_lifetime_use(&l->state[i], 0, t->forward[opened]);
    rw_lifetime_use(&l->saved[i], 0, t->forward[closed]);
    rw_lifetime_use(&l->saved[i], 0, t->forward[opened]);
    if (!p->options.training) return;
    if (phase) {
        rw_lifetime_use(&l->map[i], 1, t->again[closed]);
        rw_lifetime_use(&l->part[i], 1, t->again[closed]);
        rw_lifetime_use(&l->state[i], 1, t->again[closed]);
        rw_lifetime_use(&l->saved[i], 1, t->again[closed]);
    }
    rw_lifetime_use(&l->map[i], phase, t->backward[opened]);
    rw_lifetime_use(&l->part[i], 1, t->backward[opened]);
    rw_lifetime_use(&l->state[i], phase, t->backward[closed]);
    rw_lifetime_use(&l->saved[i], phase, t->backward[closed]);
    rw_lifetime_use(&l->dstate[i], 0, t->backward[opened]);
    rw_lifetime_use(&l->dstate[i], 0, t->backward[closed]);
}

static void find_boundaries(const rw_plan *p, lifetimes *l, int *producer_block)
{
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->out >= 0) producer_block[node->out] = node->block;
        for (int k = 0; k < node->ins; k++)
            if (producer_block[node->in[k]] != node->block) l->boundary[node->in[k]] = true;
    }
}

static void set_sizes(const rw_plan *p, lifetimes *l)
{
    size_t chunks = (size_t)p->micro * (size_t)(p->chunks.end - p->chunks.begin);
    for (int v = 0; v < rw_graph_values(p->graph); v++) {
        size_t n = chunks * (size_t)p->options.chunk * (size_t)rw_graph_width(p->graph, v);
        l->value[v].size = l->value_segment[v] == -2 ? n : 0;
        l->gradient[v].size = p->needs_gradient[v] && l->gradient_segment[v] == -2 ? n : 0;
    }
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!has_carry(node)) continue;
        l->map[i].size = chunks * node->map;
        l->part[i].size = node->op->carry == RW_CARRY_SEQUENCE ? 0 : chunks * node->state;
        l->state[i].size = chunks * node->state;
        l->saved[i].size = chunks * (size_t)p->options.chunk * node->saved;
        l->dstate[i].size = p->options.training ? chunks * node->state : 0;
    }
}

static void take_offsets(rw_plan *p, const lifetimes *l)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) {
        p->value[v] = (rw_place){l->value_segment[v] == -2, l->value[v].offset};
        p->gradient[v] = (rw_place){l->gradient_segment[v] == -2, l->gradient[v].offset};
    }
    for (int i = 0; i < p->node_count; i++)
        p->carry[i] = (rw_carry_place){l->map[i].offset, l->part[i].offset, l->state[i].offset,
                                       l->dstate[i].offset, l->saved[i].offset};
}

static rw_status new_lifetimes(const rw_plan *p, lifetimes *l)
{
    size_t values = (size_t)rw_graph_values(p->graph), nodes = (size_t)p->node_count;
    l->count = (int)(2 * values + 5 * nodes);
    RW_TRY(rw_alloc((size_t)l->count, sizeof *l->value, "memory planning", &l->value));
    for (int i = 0; i < l->count; i++) l->value[i] = RW_LIFETIME_NONE;
    l->gradient = l->value + values;
    l->map = l->gradient + values;
    l->part = l->map + nodes;
    l->state = l->part + nodes;
    l->dstate = l->state + nodes;
    l->saved = l->dstate + nodes;
    RW_TRY(rw_alloc(2 * values + 1, sizeof(int), "memory planning", &l->value_segment));
    l->gradient_segment = l->value_segment + values;
    for (size_t v = 0; v < 2 * values; v++) l->value_segment[v] = -1;
    return rw_alloc(values + 1, sizeof *l->boundary, "memory planning", &l->boundary);
}

/* ---- Scratch of a thread: what lives within one chunk of one segment ---- */

/* Places the scratch values (or gradients) that segment s touches. */
static rw_status place_scratch(rw_plan *p, rw_lifetime *item, const int *only, int s,
                               rw_place *place)
{
    const rw_segment *segment = &p->segments[s];
    int values = rw_graph_values(p->graph), run = 0;
    for (int v = 0; v < values; v++) item[v] = RW_LIFETIME_NONE;
    for (int i = segment->first; i < segment->last; run++) {
        int end = rw_plan_run_end(p, i, segment->last);
        for (; i < end; i++) {
            const rw_node *node = &p->nodes[i];
            if (node->out >= 0) rw_lifetime_use(&item[node->out], 0, run);
            for (int k = 0; k < node->ins; k++) rw_lifetime_use(&item[node->in[k]], 0, run);
        }
    }
    const rw_node *closer = segment->closes >= 0 ? &p->nodes[segment->closes] : NULL;
    for (int k = 0; closer && k < closer->ins; k++) rw_lifetime_use(&item[closer->in[k]], 0, run);
    for (int v = 0; v < values; v++)
        if (only[v] == s)
            item[v].size = (size_t)p->options.chunk * (size_t)rw_graph_width(p->graph, v);
    size_t total;
    RW_TRY(rw_liveness_place(item, values, &total));
    for (int v = 0; v < values; v++)
        if (only[v] == s) place[v].offset = item[v].offset;
    if (total > p->scratch) p->scratch = total;
    return RW_OK;
}

static rw_status plan_scratch(rw_plan *p, const lifetimes *l)
{
    rw_status status = RW_OK;
    rw_lifetime *item = NULL;
    RW_TRY_DONE(
        rw_alloc((size_t)rw_graph_values(p->graph) + 1, sizeof *item, "memory planning", &item));
    for (int s = 0; s < p->segment_count; s++) {
        RW_TRY_DONE(place_scratch(p, item, l->value_segment, s, p->value));
        if (p->options.training)
            RW_TRY_DONE(place_scratch(p, item, l->gradient_segment, s, p->gradient));
    }
done:
    rw_free(&item);
    return status;
}

static rw_status plan_memory(rw_plan *p, const timetable *t)
{
    rw_status status = RW_OK;
    lifetimes l = {0};
    int *block = NULL;
    RW_TRY_DONE(new_lifetimes(p, &l));
    RW_TRY_DONE(rw_alloc((size_t)rw_graph_values(p->graph) + 1, sizeof *block, "the plan", &block));
    find_boundaries(p, &l, block);
    for (int i = 0; i < p->node_count; i++) {
        use_node(p, t, &l, i);
        if (has_carry(&p->nodes[i])) use_carry(p, t, &l, i);
    }
    set_sizes(p, &l);
    RW_TRY_DONE(rw_liveness_place(l.value, l.count, &p->arena));
    take_offsets(p, &l);
    RW_TRY_DONE(plan_scratch(p, &l));
done:
    rw_free(&block);
    rw_free(&l.value);
    rw_free(&l.value_segment);
    rw_free(&l.boundary);
    return status;
}

/* ---- The whole ---------------------------------------------------------- */

static rw_status allocate_tables(rw_plan *p)
{
    size_t nodes = (size_t)p->node_count, values = (size_t)rw_graph_values(p->graph) + 1;
    RW_TRY(rw_alloc(values, sizeof *p->value, "the plan", &p->value));
    RW_TRY(rw_alloc(values, sizeof *p->gradient, "the plan", &p->gradient));
    RW_TRY(rw_alloc(values, sizeof *p->needs_gradient, "the plan", &p->needs_gradient));
    RW_TRY(rw_alloc(nodes, sizeof *p->add, "the plan", &p->add));
    RW_TRY(rw_alloc(nodes, sizeof *p->leaf_param, "the plan", &p->leaf_param));
    RW_TRY(rw_alloc(nodes, sizeof *p->leaf_derived, "the plan", &p->leaf_derived));
    return rw_alloc(nodes, sizeof *p->carry, "the plan", &p->carry);
}

static rw_status plan_times_and_memory(rw_plan *p)
{
    rw_status status = RW_OK;
    timetable t;
    int *times;
    size_t segments = (size_t)p->segment_count, nodes = (size_t)p->node_count;
    RW_TRY(rw_alloc(3 * segments + 2 * nodes, sizeof *times, "the plan", &times));
    t.forward = times;
    t.again = t.forward + segments;
    t.backward = t.again + segments;
    t.segment_of = t.backward + segments;
    t.closed_by = t.segment_of + nodes;
    fill_timetable(p, &t);
    RW_TRY_DONE(plan_memory(p, &t));
done:
    rw_free(&times);
    return status;
}

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
    RW_TRY_DONE(plan_segments(p));
    RW_TRY_DONE(allocate_tables(p));
    if (options->training) {
        RW_TRY_DONE(plan_gradients(p));
        plan_leaves(p);
    }
    RW_TRY_DONE(plan_times_and_memory(p));
done:
    if (status != RW_OK) rw_plan_destroy(&p);
    *out = p;
    return status;
}

void rw_plan_destroy(rw_plan **plan)
{
    rw_plan *p = *plan;
    if (!p) return;
    rw_free(&p->nodes);
    rw_free(&p->derived);
    rw_free(&p->segments);
    rw_free(&p->value);
    rw_free(&p->gradient);
    rw_free(&p->needs_gradient);
    rw_free(&p->add);
    rw_free(&p->leaf_param);
    rw_free(&p->leaf_derived);
    rw_free(&p->carry);
    rw_free(plan);
}
