#include "model/plan_memory.h"

#include "base/memory.h"
#include "model/plan_scratch.h"

/* When things happen, on one time line. With recomputation the backward half
 * alternates: segments of a block forward again, then backward. */
typedef struct {
    int *forward, *again, *backward; /* by segment */
    int *segment_of;                 /* by node: where its forward runs */
    int *closed_by;                  /* by node with a carry: segment of its summary */
} timetable;

/* ---- Time --------------------------------------------------------------- */

static void time_backward_of_block(const rw_plan *p, timetable *t, int first, int last, int *now)
{
    bool again = p->segments[first].recompute == RW_RECOMPUTE_BLOCK;
    for (int s = first; again && s < last; s++) t->again[s] = (*now)++;
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

/* ---- Memory ------------------------------------------------------------ */

/* The lifetimes of everything that may be stored. */
typedef struct {
    rw_lifetime *value, *gradient;                   /* by value id */
    rw_lifetime *transition, *part, *state, *dstate; /* by node */
    rw_lifetime *saved;                              /* by node */
    int count;                                       /* of all, contiguous from `value` */
    int *value_segment, *gradient_segment; /* by value: the one that touches it; -2: several */
    int *maker;                            /* by value: the node that makes it */
    int *home;                             /* by value: that whose gradient's memory is its own */
    int *host;      /* by value: the node in whose saved rows it and its gradient lie, or -1 */
    bool *boundary; /* by value: crosses blocks */
    bool *in_place; /* by value: its gradient lies in its place */
} lifetimes;

static rw_recompute recompute_of(const rw_plan *p, const timetable *t, int i)
{
    return p->segments[t->segment_of[i]].recompute;
}

static void touch(int *only, int segment)
{
    if (*only == -1) *only = segment;
    if (*only != segment) *only = -2;
}

static void touch_forward(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    touch(&l->value_segment[v], segment);
    rw_lifetime_use(&l->value[v], 0, t->forward[segment]);
    if (p->options.training && p->segments[segment].again)
        rw_lifetime_use(&l->value[v], l->boundary[v] ? 0 : 1, t->again[segment]);
}

static void keep_stored(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    l->value_segment[v] = -2;
    bool again = p->segments[segment].recompute == RW_RECOMPUTE_BLOCK && !l->boundary[v];
    rw_lifetime_use(&l->value[v], again, t->backward[segment]);
}

/* Can backward of a segment of the block make what the node made again, of what
 * backward of the node reads itself? */
static bool is_made_again(const rw_plan *p, const rw_node *node, int segment)
{
    if (p->segments[segment].block != node->block) return false;
    if (node->op->sequence) return true;
    if (node->op->promises.keeps_in + 1 != 1u << node->ins) return false;
    return node->size.cheap || (node->op->promises.rowwise && !rw_has_carry(node->op));
}

/* What backward reads must be stored, or be made again of what is. */
static void keep(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    const rw_node *maker = &p->nodes[l->maker[v]];
    if (!is_made_again(p, maker, segment)) {
        keep_stored(p, t, l, v, segment);
        return;
    }
    rw_plan_recomputes(p, segment)[v] = true;
    for (int k = 0; k < maker->ins && !maker->op->sequence; k++)
        keep(p, t, l, maker->in[k], segment);
}

static void touch_gradient(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    bool again = p->segments[segment].recompute == RW_RECOMPUTE_BLOCK && !l->boundary[v];
    touch(&l->gradient_segment[v], segment);
    rw_lifetime_use(&l->gradient[v], again, t->backward[segment]);
}

/* What backward (and adjoint) of node i in `segment` touches. */
static void use_backward(const rw_plan *p, const timetable *t, lifetimes *l, int i, int segment,
                         bool writes_inputs)
{
    const rw_node *node = &p->nodes[i];
    /* An exchange reads all rows at once. */
    void (*keeps)(const rw_plan *, const timetable *, lifetimes *, int, int) =
        rw_runs_in_exchange(node->op) ? keep_stored : keep;
    for (int k = 0; k < node->ins; k++) {
        if (node->op->promises.keeps_in >> k & 1) keeps(p, t, l, node->in[k], segment);
        if (writes_inputs) touch_gradient(p, t, l, node->in[k], segment);
    }
    if (node->out < 0) return;
    if (node->op->promises.keeps_out) keeps(p, t, l, node->out, segment);
    touch_gradient(p, t, l, node->out, segment);
}

static void use_node(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    const rw_node *node = &p->nodes[i];
    int segment = t->segment_of[i], summary = rw_has_carry(node->op) ? t->closed_by[i] : segment;
    bool global = node->op->global;
    if (node->out >= 0) touch_forward(p, t, l, node->out, segment);
    if (global) touch_forward(p, t, l, node->out, summary);
    for (int k = 0; k < node->ins; k++) {
        touch_forward(p, t, l, node->in[k], summary);
        if (rw_runs_in_exchange(node->op))
            l->value_segment[node->in[k]] = -2; /* read there alone, of all chunks */
        else
            touch_forward(p, t, l, node->in[k], segment);
    }
    if (!p->options.training) return;
    use_backward(p, t, l, i, summary, true);
    if (rw_has_carry(node->op)) use_backward(p, t, l, i, segment, global);
}

static void use_between(rw_lifetime *item, int phase, int begin, int end)
{
    rw_lifetime_use(item, phase, begin);
    rw_lifetime_use(item, phase, end);
}

/* The carry's buffers: see the drawing in plan.h for when each is written. What
 * an exchange reads is alive in the segment behind it too: one group of sequences
 * may be there already while that of the other is under way. */
static void use_carry(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    int opened = t->segment_of[i], closed = t->closed_by[i];
    int phase = recompute_of(p, t, i) == RW_RECOMPUTE_BLOCK;
    rw_lifetime *forward[] = {&l->transition[i], &l->part[i], &l->state[i], &l->saved[i]};
    for (int k = 0; k < 4; k++) {
        use_between(forward[k], 0, t->forward[closed], t->forward[opened]);
        if (phase && p->options.training)
            use_between(forward[k], 1, t->again[closed], t->again[opened]);
    }
    if (!p->options.training) return;
    use_between(&l->transition[i], phase, t->backward[opened], t->backward[closed]);
    use_between(&l->part[i], 1, t->backward[opened], t->backward[closed]);
    rw_lifetime_use(&l->state[i], phase, t->backward[closed]);
    rw_lifetime_use(&l->saved[i], phase, t->backward[closed]);
    use_between(&l->dstate[i], 0, t->backward[opened], t->backward[closed]);
}

/* Each segment of a replayed block reads the block's input; its last one writes
 * the output, its first one, in backward, the input's gradient. */
static void use_replayed_node(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    const rw_node *node = &p->nodes[i];
    const rw_segment *own = &p->segments[t->segment_of[i]];
    int begin = own->begin, last = own->end - 1;
    for (int k = 0; k < node->ins; k++) {
        int v = node->in[k];
        if (!l->boundary[v] || p->values[v].block == node->block) continue;
        rw_lifetime_use(&l->value[v], 0, t->forward[begin]);
        rw_lifetime_use(&l->value[v], 0, t->forward[last]);
        if (!p->options.training) continue;
        rw_lifetime_use(&l->value[v], 0, t->backward[begin]);
        rw_lifetime_use(&l->gradient[v], 0, t->backward[begin]);
    }
    if (node->out < 0 || !l->boundary[node->out]) return;
    rw_lifetime_use(&l->value[node->out], 0, t->forward[t->segment_of[i]]);
    rw_lifetime_use(&l->value[node->out], 0, t->forward[last]);
    if (!p->options.training) return;
    rw_lifetime_use(&l->gradient[node->out], 0, t->backward[last]);
    rw_lifetime_use(&l->gradient[node->out], 0, t->backward[begin]);
}

/* Its carries are read by each segment behind them, forward and backward. */
static void use_replayed_carry(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    const rw_segment *own = &p->segments[t->segment_of[i]];
    use_carry(p, t, l, i);
    rw_lifetime_use(&l->state[i], 0, t->forward[own->end - 1]);
    if (!p->options.training) return;
    rw_lifetime_use(&l->state[i], 0, t->backward[own->begin]);
    rw_lifetime_use(&l->dstate[i], 0, t->backward[own->begin]);
}

static void find_makers(const rw_plan *p, lifetimes *l)
{
    for (int i = 0; i < p->node_count; i++)
        if (p->nodes[i].out >= 0) l->maker[p->nodes[i].out] = i;
}

/* What crosses blocks is stored whatever is recomputed. */
static void find_boundaries(const rw_plan *p, lifetimes *l)
{
    for (int i = 0; i < p->node_count; i++)
        for (int k = 0; k < p->nodes[i].ins; k++) {
            int v = p->nodes[i].in[k];
            if (p->values[v].block == p->nodes[i].block) continue;
            l->boundary[v] = true;
            l->value_segment[v] = l->gradient_segment[v] = -2;
        }
}

static void set_sizes(const rw_plan *p, lifetimes *l)
{
    size_t chunks = (size_t)p->micro * (size_t)(p->chunks.end - p->chunks.begin);
    for (int v = 0; v < rw_graph_values(p->graph); v++) {
        size_t n = chunks * (size_t)p->options.chunk * (size_t)rw_graph_width(p->graph, v);
        l->value[v].size = l->value_segment[v] == -2 ? n : 0;
        l->gradient[v].size = p->values[v].needs_gradient && l->gradient_segment[v] == -2 ? n : 0;
    }
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!rw_has_carry(node->op)) continue;
        l->transition[i].size = chunks * node->size.transition;
        size_t rows = chunks * (size_t)p->options.chunk;
        if (p->chunks.begin == 0) rows += (size_t)(p->micro * p->places[i].past_rows);
        l->saved[i].size = rows * node->size.saved;
        if (node->op->global) continue; /* its state is for step alone */
        l->part[i].size = node->op->sequence ? 0 : chunks * node->size.state;
        l->state[i].size = chunks * node->size.state;
        l->dstate[i].size = p->options.training ? chunks * node->size.state : 0;
    }
}

/* May the gradient of the node's first input lie where that of its output does, before others
 * add to it? */
static bool shares_gradient(const rw_plan *p, const rw_node *node)
{
    return node->op->promises.shares_gradient && !p->places[node->index].add[0] &&
           node->in[0] != node->in[1] && node->in_width[0] == rw_graph_width(p->graph, node->in[0]);
}

/* Two such gradients that are stored share one buffer: `home` of both is that of the
 * output, from the last node of the residual stream to the first. */
static void join_gradients(const rw_plan *p, lifetimes *l)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) l->home[v] = v;
    for (int i = p->node_count - 1; i >= 0 && p->options.training; i--) {
        const rw_node *node = &p->nodes[i];
        if (!shares_gradient(p, node)) continue;
        rw_lifetime *in = &l->gradient[node->in[0]], *out = &l->gradient[l->home[node->out]];
        if (!in->size || in->size != out->size) continue;
        rw_lifetime_join(out, in);
        in->size = 0;
        l->home[node->in[0]] = l->home[node->out];
    }
}

/* Does every op that reads the value read it for the last time before it writes the
 * gradient over the columns that it reads, which no other does? */
static bool is_written_over(const rw_plan *p, const lifetimes *l, int v)
{
    if (l->boundary[v] || p->nodes[l->maker[v]].op->promises.keeps_out) return false;
    for (int i = 0; i < p->node_count; i++)
        for (int k = 0; k < p->nodes[i].ins; k++) {
            if (p->nodes[i].in[k] != v) continue;
            if (!(p->nodes[i].op->promises.in_place >> k & 1) || p->places[i].add[k]) return false;
        }
    return true;
}

/* A gradient that is stored takes the place of the value, where nobody reads that any more. */
static void put_in_place(const rw_plan *p, lifetimes *l)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) {
        rw_lifetime *value = &l->value[v], *gradient = &l->gradient[v];
        if (!gradient->size || value->size != gradient->size || !is_written_over(p, l, v)) continue;
        rw_lifetime_join(value, gradient);
        gradient->size = 0;
        l->in_place[v] = true;
    }
}

/* Is value v one that node i alone uses, and in forward alone? */
static bool is_input_alone(const rw_plan *p, const lifetimes *l, int i, int v)
{
    const rw_node *node = &p->nodes[i];
    int uses = 0;
    for (int n = 0; n < p->node_count; n++)
        for (int k = 0; k < p->nodes[n].ins; k++) uses += p->nodes[n].in[k] == v;
    return uses == 1 && node->in_width[0] == rw_graph_width(p->graph, v) &&
           !(node->op->promises.keeps_in & 1) && !p->nodes[l->maker[v]].op->promises.keeps_out;
}

/* What an op that saves in place takes in lies where it will save, if it is made in the
 * segment that the op's summary closes: `saved` lives as long as that and its gradient. */
static void host_inputs(const rw_plan *p, const timetable *t, lifetimes *l)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) l->host[v] = -1;
    for (int i = 0; i < p->node_count; i++) {
        int v = p->nodes[i].in[0];
        if (!p->nodes[i].op->promises.saves_in_place || !is_input_alone(p, l, i, v)) continue;
        if (t->segment_of[l->maker[v]] != t->closed_by[i]) continue;
        l->host[v] = i;
        l->value[v].size = 0;
        l->gradient_segment[v] = -2;
    }
}

static void take_offsets(rw_plan *p, const lifetimes *l)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) {
        int home = l->home[v], width = rw_graph_width(p->graph, v), host = l->host[v];
        const rw_lifetime *gradient = l->in_place[home] ? &l->value[home] : &l->gradient[home];
        p->values[v].value = (rw_place){l->value_segment[v] == -2, l->value[v].offset, width};
        p->values[v].gradient = (rw_place){l->gradient_segment[v] == -2, gradient->offset, width};
        if (host >= 0)
            p->values[v].value = p->values[v].gradient =
                (rw_place){true, l->saved[host].offset, (int)p->nodes[host].size.saved};
    }
    for (int i = 0; i < p->node_count; i++)
        p->places[i].carry =
            (rw_carry_place){l->transition[i].offset, l->part[i].offset, l->state[i].offset,
                             l->dstate[i].offset, l->saved[i].offset};
}

static rw_status new_lifetimes(const rw_plan *p, lifetimes *l)
{
    size_t values = (size_t)rw_graph_values(p->graph), nodes = (size_t)p->node_count;
    l->count = (int)(2 * values + 5 * nodes);
    RW_TRY(rw_alloc((size_t)l->count, sizeof *l->value, "memory planning", &l->value));
    l->gradient = l->value + values;
    l->transition = l->gradient + values;
    l->part = l->transition + nodes;
    l->state = l->part + nodes;
    l->dstate = l->state + nodes;
    l->saved = l->dstate + nodes;
    RW_TRY(rw_alloc(5 * values + 1, sizeof(int), "memory planning", &l->value_segment));
    l->gradient_segment = l->value_segment + values;
    l->maker = l->gradient_segment + values;
    l->home = l->maker + values;
    l->host = l->home + values;
    RW_TRY(rw_alloc(2 * values + 1, sizeof *l->boundary, "memory planning", &l->boundary));
    l->in_place = l->boundary + values;
    return RW_OK;
}

static void use(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    bool carry = rw_has_carry(p->nodes[i].op);
    if (recompute_of(p, t, i) == RW_RECOMPUTE_CHUNK) {
        use_replayed_node(p, t, l, i);
        if (carry) use_replayed_carry(p, t, l, i);
    } else {
        use_node(p, t, l, i);
        if (carry) use_carry(p, t, l, i);
    }
}

static void use_all(const rw_plan *p, const timetable *t, lifetimes *l)
{
    for (int i = 0; i < l->count; i++) l->value[i] = RW_LIFETIME_NONE;
    for (int v = 0; v < 2 * rw_graph_values(p->graph); v++) l->value_segment[v] = -1;
    find_boundaries(p, l);
    for (int i = 0; i < p->node_count; i++) use(p, t, l, i);
}

/* Does forward of the segment store anything for backward of the block? What a global op
 * makes is there before, what crosses blocks still is. */
static bool makes_stored(const rw_plan *p, const lifetimes *l, const rw_segment *s)
{
    for (int i = s->first; i < s->last; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->out < 0 || node->op->global) continue;
        if (l->value_segment[node->out] == -2 && !l->boundary[node->out]) return true;
    }
    return false;
}

/* The last segment of a block that is recomputed need not run again where backward has
 * all that it reads. Then what crosses the block lives shorter. */
static bool leave_out_last(rw_plan *p, const lifetimes *l)
{
    bool some = false;
    for (int s = 0; s < p->segment_count; s++) {
        rw_segment *segment = &p->segments[s];
        if (!segment->again || s < segment->end - 1 || makes_stored(p, l, segment)) continue;
        segment->again = false;
        some = true;
    }
    return some;
}

static rw_status plan_memory(rw_plan *p, const timetable *t)
{
    rw_status status = RW_OK;
    lifetimes l = {0};
    RW_TRY_DONE(new_lifetimes(p, &l));
    find_makers(p, &l);
    use_all(p, t, &l);
    if (p->options.training && leave_out_last(p, &l)) use_all(p, t, &l);
    set_sizes(p, &l);
    host_inputs(p, t, &l);
    join_gradients(p, &l);
    if (p->options.training) put_in_place(p, &l);
    RW_TRY_DONE(rw_liveness_place(l.value, l.count, &p->arena));
    take_offsets(p, &l);
    RW_TRY_DONE(rw_plan_scratch(p, l.value_segment, l.gradient_segment));
done:
    rw_free(&l.value);
    rw_free(&l.value_segment);
    rw_free(&l.boundary);
    return status;
}

/* ---- The whole ---------------------------------------------------------- */

rw_status rw_plan_memory(rw_plan *p)
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
