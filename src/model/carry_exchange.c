/* Declared in model/carry_exchange.h. Example: node k with a carry, chunks 0 and 1 on rank 0,
 * chunks 2 and 3 on rank 1. The threads have written part[c] (and, for a tree carry, transition[c])
 * of their chunks of the group:
 *
 *   rw_carry_exchange_start(k)
 *     tree carry:   start_scan    rw_scan_start: value[1] on rank 0, value[2], value[3] on rank 1
 *     shift carry:  start_shift   rw_shift_start: value[c + 1] = part[c]; rank 0 sends part[1]
 *   rw_carry_exchange_progress    between chunks of the other group
 *   rw_carry_exchange_finish      from here on, the threads may read value[c]
 */
#include "model/carry_exchange.h"

#include <string.h>

#include "base/memory.h"
#include "model/step_carry.h"
#include "mpi/shift.h"
#include "mpi/tree_scan.h"

/* The affine arithmetic of a node, for the scan. */
typedef struct {
    const rw_node *node;
    const real *derived;
} arithmetic;

/* The exchange of one sequence group: its own buffers and its own tag. */
typedef struct {
    bool in_flight, shifts; /* a shift, not a scan */
    arithmetic arithmetic;
    rw_scan *scan;
    rw_shift shift;
    real *buffer; /* of shifts */
} transfer;

struct rw_carry_exchange {
    transfer transfers[RW_MAX_GROUPS];
};

/* ---- Making -------------------------------------------------------------- */

static rw_status new_transfer(const rw_engine *e, int tag, transfer *l)
{
    const rw_plan *p = e->plan;
    size_t transition = 0, state = 0, shift = 0, sequences = (size_t)p->micro;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->op->shift && node->size.state > shift) shift = node->size.state;
        if (!node->op->tree) continue;
        if (node->size.transition > transition) transition = node->size.transition;
        if (node->size.state > state) state = node->size.state;
    }
    RW_TRY(rw_alloc(2 * sequences * shift, sizeof(real), "halos", &l->buffer));
    return rw_scan_new(e->layout, tag, p->micro, p->tree.chunks, transition, state,
                       p->options.carry, &l->scan);
}

rw_status rw_carry_exchange_new(const rw_engine *e, rw_carry_exchange **out)
{
    rw_status status = RW_OK;
    rw_carry_exchange *x = NULL;
    int groups = rw_plan_groups(e->layout, e->plan->micro);
    RW_TRY(rw_alloc(1, sizeof *x, "exchanges", &x));
    for (int g = 0; g < groups; g++) RW_TRY_DONE(new_transfer(e, 1 + g, &x->transfers[g]));
done:
    if (status != RW_OK) rw_carry_exchange_destroy(&x);
    *out = x;
    return status;
}

void rw_carry_exchange_destroy(rw_carry_exchange **exchange)
{
    rw_carry_exchange *x = *exchange;
    if (!x) return;
    for (int g = 0; g < RW_MAX_GROUPS; g++) {
        rw_scan_destroy(&x->transfers[g].scan);
        rw_free(&x->transfers[g].buffer);
    }
    rw_free(exchange);
}

/* ---- Running ------------------------------------------------------------- */

static void advance(const void *context, const real *transition, int level, bool transpose,
                    int begin, int end, const real *x, const real *b, real *y)
{
    const arithmetic *a = context;
    a->node->op->tree->advance(a->node, a->derived, transition, level, transpose, begin, end, x, b,
                               y);
}

static void compose(const void *context, const real *left, const real *right, real *out)
{
    const arithmetic *a = context;
    a->node->op->tree->compose(a->node, left, right, out);
}

static const rw_node *node_of(const rw_pass *w, int i)
{
    return &w->e->plan->nodes[i];
}

static void start_scan(const rw_pass *w, int i, bool mirrored, rw_range group, transfer *l)
{
    const rw_engine *e = w->e;
    const rw_node *node = node_of(w, i);
    const rw_carry_place *place = &e->plan->places[i].carry;
    size_t first = (size_t)(group.begin * rw_local_chunks(e->plan));
    l->arithmetic = (arithmetic){node, e->derived + e->plan->places[i].derived};
    rw_affine affine = {node->size.transition, node->size.state, node->size.slices,
                        &l->arithmetic,        advance,          compose};
    rw_scan_ends ends = {rw_step_carry_in(w, i, group.begin), rw_step_carry_out(w, i, group.begin)};
    rw_scan_start(l->scan, &affine, group.end - group.begin, mirrored,
                  w->batch->starts ? e->cuts + first : NULL, mirrored ? NULL : &ends,
                  e->arena + place->transition + first * node->size.transition,
                  e->arena + place->part + first * node->size.state,
                  e->arena + (mirrored ? place->gradient : place->value) +
                      first * node->size.state);
}

/* The state of the last chunk goes to the next step. */
static void keep_last_part(const rw_pass *w, int i, rw_range group)
{
    const rw_plan *p = w->e->plan;
    size_t state = p->nodes[i].size.state, local = (size_t)rw_local_chunks(p);
    const real *part = w->e->arena + p->places[i].carry.part;
    if (p->chunks.end != p->tree.chunks || !rw_step_carry_out(w, i, 0)) return;
    for (long b = group.begin; b < group.end; b++)
        memcpy(rw_step_carry_out(w, i, b), part + ((size_t)(b + 1) * local - 1) * state,
               state * sizeof(real));
}

static void start_shift(const rw_pass *w, int i, bool mirrored, rw_range group, int tag,
                        transfer *l)
{
    const rw_engine *e = w->e;
    const rw_carry_place *place = &e->plan->places[i].carry;
    long local = rw_local_chunks(e->plan);
    size_t state = node_of(w, i)->size.state, first = (size_t)(group.begin * local) * state;
    rw_shift_start(&l->shift, e->layout, tag, group.end - group.begin, local, state, mirrored,
                   e->arena + place->part + first,
                   e->arena + (mirrored ? place->gradient : place->value) + first, l->buffer);
    if (!mirrored) keep_last_part(w, i, group);
}

void rw_carry_exchange_start(const rw_pass *w, int i, bool mirrored, int group)
{
    const rw_node *node = node_of(w, i);
    transfer *l = &w->e->exchange->transfers[group];
    l->in_flight = true;
    l->shifts = node->op->shift;
    if (l->shifts)
        start_shift(w, i, mirrored, rw_pass_group(w, group), 1 + group, l);
    else
        start_scan(w, i, mirrored, rw_pass_group(w, group), l);
}

void rw_carry_exchange_finish(const rw_pass *w, int group)
{
    transfer *l = &w->e->exchange->transfers[group];
    if (!l->in_flight) return;
    l->in_flight = false;
    if (l->shifts)
        rw_shift_finish(&l->shift);
    else
        rw_scan_finish(l->scan);
}

void rw_carry_exchange_progress(rw_carry_exchange *x)
{
    for (int g = 0; g < RW_MAX_GROUPS; g++) {
        transfer *l = &x->transfers[g];
        if (l->in_flight && l->shifts) rw_shift_progress(&l->shift);
        if (l->in_flight && !l->shifts) rw_scan_progress(l->scan);
    }
}

long rw_carry_exchange_late_chunk(const rw_pass *w, bool mirrored, int group)
{
    rw_range sequences = rw_pass_group(w, group);
    const transfer *l = &w->e->exchange->transfers[group];
    if (!l->in_flight || !l->shifts || sequences.end - sequences.begin != 1) return -1;
    return mirrored ? rw_local_chunks(w->e->plan) - 1 : 0;
}
