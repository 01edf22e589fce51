/* Declared in model/gradient_sum.h. Example: a segment, one sequence of 4 chunks, two threads:
 *
 *                                         stack of thread 0     of thread 1     of the segment
 *   rw_gradient_sum_leaf, push (0; 2)     (0,0)                 (0,2)
 *   rw_gradient_sum_leaf, push (1; 3)     (1,0)                 (1,1)
 *   rw_gradient_sum_collect
 *     copies the node of thread 0                                               (1,0)
 *     adds the node of thread 1                                                 (2,0)
 *   rw_gradient_sum_start                 the nodes of this rank enter the sum over ranks
 *   rw_gradient_sum_progress              ... beside the backward pass of earlier segments
 *   rw_gradient_sum_finish                the total of all ranks
 *
 * A node is (level, index): the sum of the leaves index 2^level to (index + 1) 2^level - 1. */
#include "model/gradient_sum.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"

/* A stack of tree nodes with their values one after the other: slot = position. */
typedef struct {
    rw_tree_stack stack;
    real *values;
} sum_stack;

/* to += from, or to = from. */
typedef struct {
    real *to;
    const real *from;
    bool copies;
} action;

struct rw_gradient_sum {
    const rw_plan *plan;
    const rw_layout *layout;
    sum_stack *thread;  /* by thread; values (depth, largest leaf) */
    sum_stack *segment; /* by segment; values (depth, leaf of the segment), borrowed */
    real **place;       /* the memory of the values of segments */
    action *actions;
    int action_count, action_capacity;
    rw_reduction *reduction;
    real **nodes;             /* this rank's maximal nodes, for the reduction */
    int queue[RW_REDUCTIONS]; /* segments whose sums over ranks are in flight, oldest first */
};

/* ---- Sizes --------------------------------------------------------------- */

/* The largest depths of the stacks of the threads and of the rank: all pushes of a step, without
 * values. */
typedef struct {
    int thread, rank;
} depths;

static void push_part(const rw_plan *p, rw_range part, rw_range leaves, rw_tree_stack *stack,
                      int *peak)
{
    long local = p->chunks.end - p->chunks.begin;
    for (long i = leaves.begin; i < leaves.end; i++) {
        long b = p->sequences.begin + part.begin + i / local, c = p->chunks.begin + i % local;
        if (stack->depth + 1 > *peak) *peak = stack->depth + 1;
        rw_tree_push(&p->tree, stack, (rw_tree_node){0, rw_tree_leaf(&p->tree, b, c), 0}, NULL,
                     NULL);
    }
}

/* The pushes of thread t for a sequence group, and then the pushes of the rank. */
static void push_thread(const rw_plan *p, const rw_layout *layout, rw_range group, int t,
                        rw_tree_stack *thread, rw_tree_stack *rank, depths *d)
{
    long all = (group.end - group.begin) * (p->chunks.end - p->chunks.begin);
    thread->depth = 0;
    push_part(p, group, rw_split(all, layout->threads, t), thread, &d->thread);
    for (int i = 0; i < thread->depth; i++) {
        if (rank->depth + 1 > d->rank) d->rank = rank->depth + 1;
        rw_tree_push(&p->tree, rank, thread->node[i], NULL, NULL);
    }
}

static rw_status find_depths(const rw_plan *p, const rw_layout *layout, depths *d)
{
    rw_tree_node *nodes;
    RW_TRY(rw_alloc(2 * RW_TREE_MAX_DEPTH, sizeof *nodes, "gradient sums", &nodes));
    rw_tree_stack rank = {nodes, 0, RW_TREE_MAX_DEPTH};
    rw_tree_stack thread = {nodes + RW_TREE_MAX_DEPTH, 0, RW_TREE_MAX_DEPTH};
    *d = (depths){0, 0};
    for (int m = 0; m < p->options.accumulate; m++) {
        rw_range part = rw_split(p->sequences.end - p->sequences.begin, p->options.accumulate, m);
        int groups = rw_plan_groups(layout, part.end - part.begin);
        for (int g = 0; g < groups; g++) {
            rw_range group = rw_split(part.end - part.begin, groups, g);
            rw_range own = {part.begin + group.begin, part.begin + group.end};
            for (int t = 0; t < layout->threads; t++)
                push_thread(p, layout, own, t, &thread, &rank, d);
        }
    }
    rw_free(&nodes);
    return RW_OK;
}

static rw_status new_nodes(sum_stack *s, int depth)
{
    s->stack.capacity = depth + 1;
    return rw_alloc((size_t)depth + 1, sizeof(rw_tree_node), "gradient sums", &s->stack.node);
}

static rw_status new_thread_stacks(rw_gradient_sum *s, int depth)
{
    const size_t reals = (size_t)depth * s->plan->largest_leaf;
    for (int t = 0; t < s->layout->threads; t++) {
        RW_TRY(new_nodes(&s->thread[t], depth));
        RW_TRY(rw_alloc(reals, sizeof(real), "gradients of chunks", &s->thread[t].values));
    }
    return RW_OK;
}

/* A buffer is needed for the current segment and for each segment whose reduction is still in
 * flight. With several micro-batches, every segment needs its own. */
static rw_status new_segment_stacks(rw_gradient_sum *s, int depth)
{
    const rw_plan *p = s->plan;
    const bool shared = p->options.accumulate == 1;
    const int places = shared ? rw_gradient_sum_most(s) + 1 : p->segment_count;
    for (int i = 0, leaves = 0; i < p->segment_count; i++) {
        const size_t leaf = shared ? p->largest_leaf : p->segments[i].leaf;
        RW_TRY(new_nodes(&s->segment[i], depth));
        if (!p->segments[i].leaf) continue;
        real **place = &s->place[leaves++ % places];
        if (!*place)
            RW_TRY(rw_alloc((size_t)depth * leaf, sizeof(real), "gradients of blocks", place));
        s->segment[i].values = *place;
    }
    return RW_OK;
}

rw_status rw_gradient_sum_new(const rw_plan *plan, const rw_layout *layout, rw_gradient_sum **out)
{
    rw_status status = RW_OK;
    rw_gradient_sum *s = NULL;
    size_t threads = (size_t)layout->threads, segments = (size_t)plan->segment_count;
    RW_TRY(rw_alloc(1, sizeof *s, "gradient sums", &s));
    s->plan = plan;
    s->layout = layout;
    depths d;
    RW_TRY_DONE(find_depths(plan, layout, &d));
    RW_TRY_DONE(rw_alloc(threads, sizeof *s->thread, "gradient sums", &s->thread));
    RW_TRY_DONE(rw_alloc(segments, sizeof *s->segment, "gradient sums", &s->segment));
    RW_TRY_DONE(rw_alloc(segments, sizeof *s->place, "gradient sums", &s->place));
    RW_TRY_DONE(new_thread_stacks(s, d.thread));
    RW_TRY_DONE(new_segment_stacks(s, d.rank));
    s->action_capacity = 2 * (layout->threads * (d.thread + 1) + d.rank + 1);
    RW_TRY_DONE(
        rw_alloc((size_t)s->action_capacity, sizeof *s->actions, "gradient sums", &s->actions));
    RW_TRY_DONE(rw_alloc((size_t)d.rank + 1, sizeof *s->nodes, "gradient sums", &s->nodes));
    RW_TRY_DONE(rw_reduction_new(layout, &plan->tree, plan->largest_leaf, &s->reduction));
done:
    if (status != RW_OK) rw_gradient_sum_destroy(&s);
    *out = s;
    return status;
}

void rw_gradient_sum_destroy(rw_gradient_sum **sum)
{
    rw_gradient_sum *s = *sum;
    if (!s) return;
    for (int t = 0; s->thread && t < s->layout->threads; t++) {
        rw_free(&s->thread[t].stack.node);
        rw_free(&s->thread[t].values);
    }
    for (int i = 0; s->segment && i < s->plan->segment_count; i++)
        rw_free(&s->segment[i].stack.node);
    for (int i = 0; s->place && i < s->plan->segment_count; i++) rw_free(&s->place[i]);
    rw_free(&s->thread);
    rw_free(&s->segment);
    rw_free(&s->place);
    rw_free(&s->actions);
    rw_free(&s->nodes);
    rw_reduction_destroy(&s->reduction);
    rw_free(sum);
}

void rw_gradient_sum_reset(rw_gradient_sum *s)
{
    for (int i = 0; i < s->plan->segment_count; i++) s->segment[i].stack.depth = 0;
}

/* ---- Leaves, by one thread ------------------------------------------------ */

real *rw_gradient_sum_leaf(rw_gradient_sum *s, int thread, size_t reals)
{
    sum_stack *t = &s->thread[thread];
    real *leaf = t->values + (size_t)t->stack.depth * reals;
    memset(leaf, 0, reals * sizeof(real));
    return leaf;
}

typedef struct {
    real *values;
    size_t reals;
} leaf_values;

static void add_leaves(void *context, int left, int right)
{
    const leaf_values *v = context;
    real *a = v->values + (size_t)left * v->reals;
    const real *b = v->values + (size_t)right * v->reals;
    for (size_t i = 0; i < v->reals; i++) a[i] += b[i];
}

void rw_gradient_sum_push(rw_gradient_sum *s, int thread, long leaf, size_t reals)
{
    sum_stack *t = &s->thread[thread];
    leaf_values v = {t->values, reals};
    rw_tree_push(&s->plan->tree, &t->stack, (rw_tree_node){0, leaf, t->stack.depth}, add_leaves,
                 &v);
}

/* ---- Threads to rank ------------------------------------------------------ */

/* The additions that result when the nodes of the threads are pushed onto the stack of the segment.
 * A node that is combined at once needs no copy. */
typedef struct {
    rw_gradient_sum *sum;
    real *values;
    size_t reals;
    int pending; /* the slot whose value is still `source`; -1: none */
    const real *source;
} collection;

static void record(rw_gradient_sum *s, real *to, const real *from, bool copies)
{
    s->actions[s->action_count++] = (action){to, from, copies};
}

static void add_nodes(void *context, int left, int right)
{
    collection *c = context;
    const real *from = right == c->pending ? c->source : c->values + (size_t)right * c->reals;
    record(c->sum, c->values + (size_t)left * c->reals, from, false);
    if (right == c->pending) c->pending = -1;
}

static void run_actions(const rw_gradient_sum *s, size_t reals)
{
#pragma omp parallel
    {
        rw_range part = rw_split((long)(reals / 16), omp_get_num_threads(), omp_get_thread_num());
        for (int i = 0; i < s->action_count; i++) {
            const action *a = &s->actions[i];
            if (a->copies)
                memcpy(a->to + 16 * part.begin, a->from + 16 * part.begin,
                       (size_t)(part.end - part.begin) * 16 * sizeof(real));
            else
                for (long j = 16 * part.begin; j < 16 * part.end; j++) a->to[j] += a->from[j];
        }
    }
}

void rw_gradient_sum_collect(rw_gradient_sum *s, int segment)
{
    sum_stack *own = &s->segment[segment];
    size_t reals = s->plan->segments[segment].leaf;
    collection c = {.sum = s, .values = own->values, .reals = reals};
    s->action_count = 0;
    for (int t = 0; t < s->layout->threads; t++) {
        sum_stack *from = &s->thread[t];
        for (int i = 0; reals > 0 && i < from->stack.depth; i++) {
            rw_tree_node node = from->stack.node[i];
            c.source = from->values + (size_t)node.slot * reals;
            c.pending = node.slot = own->stack.depth;
            rw_tree_push(&s->plan->tree, &own->stack, node, add_nodes, &c);
            if (c.pending >= 0) record(s, own->values + (size_t)c.pending * reals, c.source, true);
        }
        from->stack.depth = 0;
    }
    run_actions(s, reals);
}

/* ---- Ranks ---------------------------------------------------------------- */

void rw_gradient_sum_start(rw_gradient_sum *s, int segment)
{
    const sum_stack *own = &s->segment[segment];
    size_t reals = s->plan->segments[segment].leaf;
    for (int i = 0; i < own->stack.depth; i++) s->nodes[i] = own->values + (size_t)i * reals;
    s->queue[rw_gradient_sum_in_flight(s)] = segment;
    rw_reduction_start(s->reduction, reals, s->nodes);
}

int rw_gradient_sum_most(const rw_gradient_sum *s)
{
    return s->layout->size > 1 ? RW_REDUCTIONS : 1;
}

int rw_gradient_sum_in_flight(const rw_gradient_sum *s)
{
    return rw_reduction_in_flight(s->reduction);
}

void rw_gradient_sum_progress(rw_gradient_sum *s)
{
    rw_reduction_progress(s->reduction);
}

const real *rw_gradient_sum_finish(rw_gradient_sum *s, int *segment)
{
    rw_reduction_finish(s->reduction);
    *segment = s->queue[0];
    memmove(s->queue, s->queue + 1, (RW_REDUCTIONS - 1) * sizeof *s->queue);
    return s->segment[*segment].values;
}

double rw_gradient_sum_scalar(rw_gradient_sum *s, const double *leaf)
{
    return rw_reduction_scalar(s->reduction, leaf);
}
