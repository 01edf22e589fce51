#include "model/chunk_pass.h"

#include <string.h>

#include "model/chunk_call.h"
#include "data/documents.h"

/* Rows of a tile: consecutive row-wise ops take turns on a tile while it is in cache. */
enum { TILE = 32 };

static const rw_plan *plan_of(const rw_chunk *at)
{
    return at->pass->e->plan;
}

static const rw_op *op_of(const rw_chunk *at, int i)
{
    return plan_of(at)->nodes[i].op;
}

static int rows_of(const rw_chunk *at)
{
    return rw_plan_chunk_rows(plan_of(at), at->chunk);
}

static const uint8_t *starts_of(const rw_chunk *at)
{
    return rw_pass_starts(at->pass, at->sequence, at->chunk);
}

/* ---- One node ------------------------------------------------------------------ */

static void forward_rows(const rw_chunk *at, int i, int first, int rows)
{
    rw_call call;
    rw_chunk_call(at, i, &call);
    if (rows < call.rows) rw_call_narrow(&call, first, rows);
    call.node->op->forward(&call);
}

static void backward_rows(const rw_chunk *at, int i, real *leaf, int first, int rows)
{
    rw_call call;
    rw_chunk_call(at, i, &call);
    rw_chunk_call_backward(at, leaf, &call);
    if (rows < call.rows) rw_call_narrow(&call, first, rows);
    call.node->op->backward(&call);
}

/* Ops with a carry see a document at a time. Global ops do all their work in the exchange. */
static void forward_documents(const rw_chunk *at, int i)
{
    const uint8_t *starts = starts_of(at);
    const int all = op_of(at, i)->global ? 0 : rows_of(at);
    for (int first = 0, end; first < all; first = end) {
        rw_call call;
        end = (int)rw_document_end(starts, first, all);
        rw_chunk_call(at, i, &call);
        rw_call_narrow_to_document(&call, starts, first, end);
        call.node->op->forward(&call);
    }
}

static void backward_documents(const rw_chunk *at, int i, real *leaf)
{
    const uint8_t *starts = starts_of(at);
    const int all = op_of(at, i)->global ? 0 : rows_of(at);
    for (int first = 0, end; first < all; first = end) {
        rw_call call;
        end = (int)rw_document_end(starts, first, all);
        rw_chunk_call(at, i, &call);
        rw_chunk_call_backward(at, leaf, &call);
        rw_call_narrow_to_document(&call, starts, first, end);
        call.node->op->backward(&call);
    }
}

/* Only the next step needs the summary of the last chunk. */
static void call_summary(const rw_chunk *at, int i)
{
    const rw_plan *p = plan_of(at);
    const uint8_t *starts = starts_of(at);
    const bool last = at->chunk == p->tree.chunks - 1;
    rw_call call;
    if (rw_runs_in_exchange(op_of(at, i)) || (last && !p->options.carry)) return;
    rw_chunk_call(at, i, &call);
    rw_call_narrow_to_document(&call, starts, (int)rw_document_begin(starts, call.rows - 1),
                               call.rows);
    rw_summary(call.node->op)(&call);
}

/* Nobody needs the adjoint of the first chunk: no gradient goes back to the step before. */
static void call_adjoint(const rw_chunk *at, int i, real *leaf)
{
    const uint8_t *starts = starts_of(at);
    rw_call call;
    if (rw_runs_in_exchange(op_of(at, i)) || at->chunk == 0) return;
    rw_chunk_call(at, i, &call);
    rw_chunk_call_backward(at, leaf, &call);
    if (starts && starts[0]) {
        memset(call.carry.dstate_in, 0, call.node->size.state * sizeof(real));
        return;
    }
    rw_call_narrow_to_document(&call, starts, 0, (int)rw_document_end(starts, 0, call.rows));
    rw_adjoint(call.node->op)(&call);
}

/* ---- One segment --------------------------------------------------------------- */

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Consecutive row-wise nodes take turns tile by tile, so that values between them stay in the
 * nearest cache. Any other node takes the whole chunk. */
static void forward_nodes(const rw_chunk *at, const rw_segment *s)
{
    const rw_plan *p = plan_of(at);
    const int all = rows_of(at);
    for (int i = s->first, end; i < s->last; i = end) {
        end = rw_plan_run_end(p, i, s->last);
        if (p->nodes[i].op->is_loss && at->pass->training) continue;
        if (rw_opens(s, i)) {
            forward_documents(at, i);
            continue;
        }
        const int tile = end - i > 1 ? TILE : all;
        for (int first = 0; first < all; first += tile)
            for (int k = i; k < end; k++) forward_rows(at, k, first, least(tile, all - first));
    }
}

static int run_begin(const rw_plan *p, const rw_segment *s, int last)
{
    int begin = s->first, end;
    while ((end = rw_plan_run_end(p, begin, s->last)) < last) begin = end;
    return begin;
}

static void backward_nodes(const rw_chunk *at, const rw_segment *s, real *leaf)
{
    const rw_plan *p = plan_of(at);
    const int all = rows_of(at);
    if (s->closes >= 0) backward_documents(at, s->closes, leaf);
    for (int last = s->last, begin; last > s->first; last = begin) {
        begin = run_begin(p, s, last);
        if (rw_opens(s, begin)) break;
        const int tile = last - begin > 1 ? TILE : all;
        for (int first = 0; first < all; first += tile)
            for (int k = last - 1; k >= begin; k--)
                backward_rows(at, k, leaf, first, least(tile, all - first));
    }
}

void rw_chunk_forward(const rw_pass *pass, const rw_segment *s, long b, long c)
{
    const rw_segment *all = pass->e->plan->segments;
    const rw_chunk at = {.pass = pass, .sequence = b, .chunk = c};
    const rw_segment *first = s->recompute == RW_RECOMPUTE_CHUNK ? &all[s->begin] : s;
    for (const rw_segment *t = first; t <= s; t++) forward_nodes(&at, t);
    if (s->closes >= 0) call_summary(&at, s->closes);
}

/* ---- Recomputation ------------------------------------------------------------- */

/* Recomputes the block to its end, then runs the backward pass down to the segment after s. The
 * backward pass of a segment keeps the gradients of its own parameters alone. The backward pass of
 * the first segment keeps the gradient of the block's input: all terms are there by then. */
static void recompute_block(rw_chunk *at, const rw_segment *s)
{
    const rw_segment *all = plan_of(at)->segments;
    at->block_in_scratch = true;
    for (int t = s->begin; t < s->end; t++) forward_nodes(at, &all[t]);
    at->discards = true;
    at->discards_input = s != &all[s->begin];
    for (const rw_segment *t = &all[s->end - 1]; t > s; t--) backward_nodes(at, t, NULL);
    at->discards = false;
}

/* Recomputes the values that the backward pass of segment s reads and that were not kept. */
static void recompute_values(rw_chunk *at, const rw_segment *s)
{
    const rw_plan *p = plan_of(at);
    at->in_scratch = rw_plan_recomputes(p, (int)(s - p->segments));
    for (int i = p->segments[s->begin].first; i < s->last; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->out < 0 || !at->in_scratch[node->out]) continue;
        if (rw_has_carry(node->op))
            forward_documents(at, i);
        else
            forward_rows(at, i, 0, rows_of(at));
    }
}

void rw_chunk_backward(const rw_pass *pass, const rw_segment *s, real *leaf, long b, long c)
{
    rw_chunk at = {.pass = pass, .sequence = b, .chunk = c};
    if (s->recompute == RW_RECOMPUTE_CHUNK)
        recompute_block(&at, s);
    else
        recompute_values(&at, s);
    backward_nodes(&at, s, leaf);
    if (s->opens) call_adjoint(&at, s->first, leaf);
}
