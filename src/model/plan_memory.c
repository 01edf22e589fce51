#include "model/plan_memory.h"

#include "base/memory.h"
#include "model/plan_scratch.h"

/* The order of events. With recomputation the second half alternates: the segments of a block are
 * recomputed, then their backward pass runs. */
typedef struct {
    int *forward, *recompute, *backward; /* by segment */
    int *segment_of;                     /* by node: the segment of its forward */
    int *closed_by;                      /* by node with a carry: the segment of its summary */
} timetable;

/* ---- Time --------------------------------------------------------------- */

static void time_backward_of_block(const rw_plan *p, timetable *t, int first, int last, int *now)
{
    bool again = p->segments[first].recompute == RW_RECOMPUTE_BLOCK;
    for (int s = first; again && s < last; s++) t->recompute[s] = (*now)++;
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

/* The lifetimes of all buffers that may be stored. */
typedef struct {
    rw_lifetime *value, *gradient;                   /* by value id */
    rw_lifetime *transition, *part, *state, *dstate; /* by node */
    rw_lifetime *saved;                              /* by node */
    int count;                                       /* of all, contiguous from `value` */
    int *value_segment, *gradient_segment; /* by value: the only segment that uses it; -2: several
                                              segments; -1: none */
    int *producer;                         /* by value: the node that computes it */
    int *home;                             /* by value: the value whose gradient buffer it shares */
    int *host;      /* by value: the node whose saved rows hold the value and its gradient, or -1 */
    bool *boundary; /* by value: crosses blocks */
    bool *in_place; /* by value: the gradient overwrites the value */
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
    if (p->options.training && p->segments[segment].recomputed)
        rw_lifetime_use(&l->value[v], l->boundary[v] ? 0 : 1, t->recompute[segment]);
}

static void keep_stored(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    l->value_segment[v] = -2;
    bool again = p->segments[segment].recompute == RW_RECOMPUTE_BLOCK && !l->boundary[v];
    rw_lifetime_use(&l->value[v], again, t->backward[segment]);
}

/* Can the backward pass of this segment recompute the node's output from inputs that it keeps
 * anyway? */
static bool can_recompute(const rw_plan *p, const rw_node *node, int segment)
{
    if (p->segments[segment].block != node->block) return false;
    if (node->op->sequence) return true;
    if (node->op->promises.keeps_in + 1 != 1u << node->ins) return false;
    return node->size.cheap || (node->op->promises.rowwise && !rw_has_carry(node->op));
}

/* A value that the backward pass reads is stored, or is recomputed from stored values. */
static void keep(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    const rw_node *producer = &p->nodes[l->producer[v]];
    if (!can_recompute(p, producer, segment)) {
        keep_stored(p, t, l, v, segment);
        return;
    }
    rw_plan_recomputes(p, segment)[v] = true;
    for (int k = 0; k < producer->ins && !producer->op->sequence; k++)
        keep(p, t, l, producer->in[k], segment);
}

static void touch_gradient(const rw_plan *p, const timetable *t, lifetimes *l, int v, int segment)
{
    bool again = p->segments[segment].recompute == RW_RECOMPUTE_BLOCK && !l->boundary[v];
    touch(&l->gradient_segment[v], segment);
    rw_lifetime_use(&l->gradient[v], again, t->backward[segment]);
}

/* The values and gradients that backward and adjoint of node i use in `segment`. */
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

/* The buffers of a carry: the drawing in plan.h shows when each buffer is written. The operands of
 * an exchange stay alive in the segment after the exchange: one sequence group may be in that
 * segment while the exchange of the other group is in flight. */
static void use_carry(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    int opened = t->segment_of[i], closed = t->closed_by[i];
    int phase = recompute_of(p, t, i) == RW_RECOMPUTE_BLOCK;
    rw_lifetime *forward[] = {&l->transition[i], &l->part[i], &l->state[i], &l->saved[i]};
    for (int k = 0; k < 4; k++) {
        use_between(forward[k], 0, t->forward[closed], t->forward[opened]);
        if (phase && p->options.training)
            use_between(forward[k], 1, t->recompute[closed], t->recompute[opened]);
    }
    if (!p->options.training) return;
    use_between(&l->transition[i], phase, t->backward[opened], t->backward[closed]);
    use_between(&l->part[i], 1, t->backward[opened], t->backward[closed]);
    rw_lifetime_use(&l->state[i], phase, t->backward[closed]);
    rw_lifetime_use(&l->saved[i], phase, t->backward[closed]);
    use_between(&l->dstate[i], 0, t->backward[opened], t->backward[closed]);
}

/* In a block that is recomputed by chunk, each segment reads the input of the block. The last
 * segment writes the output. In the backward pass the first segment writes the gradient of the
 * input. */
static void use_recomputed_node(const rw_plan *p, const timetable *t, lifetimes *l, int i)
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

/* All later segments of the block read its carries, forward and backward. */
static void use_recomputed_carry(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    const rw_segment *own = &p->segments[t->segment_of[i]];
    use_carry(p, t, l, i);
    rw_lifetime_use(&l->state[i], 0, t->forward[own->end - 1]);
    if (!p->options.training) return;
    rw_lifetime_use(&l->state[i], 0, t->backward[own->begin]);
    rw_lifetime_use(&l->dstate[i], 0, t->backward[own->begin]);
}

static void find_producers(const rw_plan *p, lifetimes *l)
{
    for (int i = 0; i < p->node_count; i++)
        if (p->nodes[i].out >= 0) l->producer[p->nodes[i].out] = i;
}

/* A value with uses in several blocks is stored with any recomputation. */
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
        if (node->op->global) continue; /* the state serves `step` alone */
        l->part[i].size = node->op->sequence ? 0 : chunks * node->size.state;
        l->state[i].size = chunks * node->size.state;
        l->dstate[i].size = p->options.training ? chunks * node->size.state : 0;
    }
}

/* May the gradient of the node's first input share the buffer of the output's gradient? */
static bool shares_gradient(const rw_plan *p, const rw_node *node)
{
    return node->op->promises.shares_gradient && !p->places[node->index].add[0] &&
           node->in[0] != node->in[1] && node->in_width[0] == rw_graph_width(p->graph, node->in[0]);
}

/* Two stored gradients that may share a buffer do so. `home` of both is the home of the output: the
 * chain runs from the last node of the residual stream to the first. */
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

/* Does each op read the value for the last time before it overwrites the same columns with the
 * gradient, and does no other op read these columns? */
static bool is_written_over(const rw_plan *p, const lifetimes *l, int v)
{
    if (l->boundary[v] || p->nodes[l->producer[v]].op->promises.keeps_out) return false;
    for (int i = 0; i < p->node_count; i++)
        for (int k = 0; k < p->nodes[i].ins; k++) {
            if (p->nodes[i].in[k] != v) continue;
            if (!(p->nodes[i].op->promises.in_place >> k & 1) || p->places[i].add[k]) return false;
        }
    return true;
}

/* A stored gradient overwrites its value if nobody reads the value any more. */
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

/* Is node i the only user of value v, and does only forward read the value? */
static bool is_input_alone(const rw_plan *p, const lifetimes *l, int i, int v)
{
    const rw_node *node = &p->nodes[i];
    int uses = 0;
    for (int n = 0; n < p->node_count; n++)
        for (int k = 0; k < p->nodes[n].ins; k++) uses += p->nodes[n].in[k] == v;
    return uses == 1 && node->in_width[0] == rw_graph_width(p->graph, v) &&
           !(node->op->promises.keeps_in & 1) && !p->nodes[l->producer[v]].op->promises.keeps_out;
}

/* The input of an op with saves_in_place lies in the rows of `saved`, if the segment that the op's
 * summary closes computes the input. `saved` lives as long as the input and its gradient. */
static void host_inputs(const rw_plan *p, const timetable *t, lifetimes *l)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) l->host[v] = -1;
    for (int i = 0; i < p->node_count; i++) {
        int v = p->nodes[i].in[0];
        if (!p->nodes[i].op->promises.saves_in_place || !is_input_alone(p, l, i, v)) continue;
        if (t->segment_of[l->producer[v]] != t->closed_by[i]) continue;
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
    l->producer = l->gradient_segment + values;
    l->home = l->producer + values;
    l->host = l->home + values;
    RW_TRY(rw_alloc(2 * values + 1, sizeof *l->boundary, "memory planning", &l->boundary));
    l->in_place = l->boundary + values;
    return RW_OK;
}

static void use(const rw_plan *p, const timetable *t, lifetimes *l, int i)
{
    bool carry = rw_has_carry(p->nodes[i].op);
    if (recompute_of(p, t, i) == RW_RECOMPUTE_CHUNK) {
        use_recomputed_node(p, t, l, i);
        if (carry) use_recomputed_carry(p, t, l, i);
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

/* Does forward of the segment store a value for the backward pass of the block? The outputs of
 * global ops and the values with uses in several blocks are stored anyway. */
static bool stores_values(const rw_plan *p, const lifetimes *l, const rw_segment *s)
{
    for (int i = s->first; i < s->last; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->out < 0 || node->op->global) continue;
        if (l->value_segment[node->out] == -2 && !l->boundary[node->out]) return true;
    }
    return false;
}

/* The last segment of a recomputed block is not run a second time if the backward pass has all its
 * values. Then values between blocks live shorter. */
static bool skip_last_recompute(rw_plan *p, const lifetimes *l)
{
    bool some = false;
    for (int s = 0; s < p->segment_count; s++) {
        rw_segment *segment = &p->segments[s];
        if (!segment->recomputed || s < segment->end - 1 || stores_values(p, l, segment)) continue;
        segment->recomputed = false;
        some = true;
    }
    return some;
}

static rw_status plan_memory(rw_plan *p, const timetable *t)
{
    rw_status status = RW_OK;
    lifetimes l = {0};
    RW_TRY_DONE(new_lifetimes(p, &l));
    find_producers(p, &l);
    use_all(p, t, &l);
    if (p->options.training && skip_last_recompute(p, &l)) use_all(p, t, &l);
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
    t.recompute = t.forward + segments;
    t.backward = t.recompute + segments;
    t.segment_of = t.backward + segments;
    t.closed_by = t.segment_of + nodes;
    fill_timetable(p, &t);
    RW_TRY_DONE(plan_memory(p, &t));
done:
    rw_free(&times);
    return status;
}
