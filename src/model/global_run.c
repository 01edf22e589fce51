#include "model/global_run.h"

#include <string.h>

#include "base/memory.h"
#include "model/past_rows.h"
#include "mpi/swap.h"

static rw_span span_of(const rw_engine *e, long sequences)
{
    const rw_plan *p = e->plan;
    const long begin = p->chunks.begin * p->options.chunk;
    const rw_range rows = {begin, begin + rw_plan_rows(p)};
    return (rw_span){.layout = e->layout,
                     .sequences = sequences,
                     .most = p->micro,
                     .length = p->options.length,
                     .chunk = p->options.chunk,
                     .rows = rows,
                     .stride = rw_local_chunks(p) * p->options.chunk};
}

static bool has_global(const rw_plan *p)
{
    for (int i = 0; i < p->node_count; i++)
        if (p->nodes[i].op->global) return true;
    return false;
}

static rw_status measure(const rw_node *node, const rw_span *span, size_t *most)
{
    const rw_global_carry *op = node->op->global;
    if (!op) return RW_OK;
    if (op->fits) RW_TRY(op->fits(node, span));
    size_t reals = op->workspace ? op->workspace(node, span) : 0;
    if (reals > *most) *most = reals;
    return RW_OK;
}

/* An evaluation has no past rows. */
rw_status rw_global_allocate(rw_engine *e)
{
    const rw_plan *p = e->plan;
    rw_span span = span_of(e, p->micro);
    size_t most = 0;
    if (!has_global(p)) return RW_OK;
    for (int i = 0; i < p->node_count; i++) {
        rw_span extended = rw_past_rows_extend(&span, p->places[i].past_rows);
        RW_TRY(measure(&p->nodes[i], &span, &most));
        RW_TRY(measure(&p->nodes[i], &extended, &most));
    }
    RW_TRY(rw_past_rows_allocate(e));
    RW_TRY(rw_alloc(most, sizeof(real), "work memory of global ops", &e->workspace));
    return rw_alloc((size_t)(p->micro * p->options.length), 1, "documents", &e->starts);
}

void rw_global_find_documents(const rw_pass *w)
{
    const rw_engine *e = w->e;
    const rw_layout *layout = e->layout;
    long sequences = w->part.end - w->part.begin;
    if (!e->starts || !w->batch->starts) return;
    rw_span span = span_of(e, sequences);
    size_t mine = (size_t)rw_span_count(&span);
    for (long b = 0; b < sequences; b++) {
        uint8_t *whole = e->starts + b * span.length;
        const uint8_t *own = w->batch->starts + (w->part.begin + b) * w->batch->rows;
        memcpy(whole + span.rows.begin, own, mine);
        for (int k = 1; k < layout->sp; k++) {
            int to = (layout->sp_rank + k) % layout->sp;
            int from = (layout->sp_rank - k + layout->sp) % layout->sp;
            rw_range theirs = rw_span_rows(&span, from);
            rw_swap(layout, to, own, mine, from, whole + theirs.begin,
                    (size_t)(theirs.end - theirs.begin));
        }
    }
}

static void set_backward(const rw_pass *w, rw_global *g)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = g->node;
    long first = p->chunks.begin;
    g->dout_ld = p->values[node->out].gradient.ld;
    g->dout = rw_pass_rows(w, &p->values[node->out].gradient, 0, first);
    for (int k = 0; k < node->ins; k++) {
        const rw_place *place = &p->values[node->in[k]].gradient;
        if (!p->values[node->in[k]].needs_gradient) continue;
        g->din_ld[k] = place->ld;
        g->din[k] = rw_pass_rows(w, place, 0, first) + node->in_begin[k];
        g->din_add[k] = p->places[node->index].add[k];
    }
}

static rw_global call_of(const rw_pass *w, int i, bool mirrored)
{
    const rw_engine *e = w->e;
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    rw_global g = {.node = node, .workspace = e->workspace};
    g.span = span_of(e, w->part.end - w->part.begin);
    g.starts = w->batch->starts ? e->starts : NULL;
    g.saved = e->arena + p->places[i].carry.saved;
    for (int k = 0; k < node->ins; k++) {
        const rw_place *place = &p->values[node->in[k]].value;
        g.in[k] = rw_pass_rows(w, place, 0, p->chunks.begin) + node->in_begin[k];
        g.in_ld[k] = place->ld;
    }
    g.out_ld = p->values[node->out].value.ld;
    g.out = rw_pass_rows(w, &p->values[node->out].value, 0, p->chunks.begin);
    if (mirrored) set_backward(w, &g);
    return g;
}

void rw_global_run(const rw_pass *w, int i, bool mirrored)
{
    const rw_op *op = w->e->plan->nodes[i].op;
    void (*run)(const rw_global *) = mirrored ? op->global->backward : op->global->forward;
    rw_global own = call_of(w, i, mirrored);
    if (!w->training || !w->e->plan->places[i].past_rows) {
        run(&own);
        return;
    }
    rw_global extended = rw_past_rows_open(w, &own, mirrored);
    run(&extended);
    rw_past_rows_close(w, &own, &extended, mirrored);
}
