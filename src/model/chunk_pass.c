#include "model/chunk_pass.h"

#include <omp.h>
#include <string.h>

#include "model/carry_exchange.h"
#include "model/step_carry.h"

/* Rows of a tile: what a run of rowwise ops does before it goes on. */
enum { TILE = 32 };

/* ---- Arguments of a call --------------------------------------------------- */

/* Number of the chunk among those of the micro-batch. */
static size_t chunk_number(const rw_pass *w, long b, long c)
{
    const rw_plan *p = w->e->plan;
    return (size_t)(b * rw_local_chunks(p) + c - p->chunks.begin);
}

static real *thread_scratch(const rw_engine *e)
{
    size_t each = e->plan->scratch + (e->plan->op_scratch + 15) / 16 * 16 + 16;
    return e->scratch + (size_t)omp_get_thread_num() * (each / 16 * 16);
}

real *rw_op_scratch(const rw_engine *e)
{
    return thread_scratch(e) + (e->plan->scratch + 15) / 16 * 16;
}

real *rw_pass_rows(const rw_pass *w, const rw_place *place, long b, long c)
{
    if (!place->stored) return thread_scratch(w->e) + place->offset;
    return w->e->arena + place->offset +
           chunk_number(w, b, c) * (size_t)w->e->plan->options.chunk * (size_t)place->ld;
}

static void set_data(const rw_pass *w, rw_call *call, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_batch *d = w->batch;
    long row = (w->part.begin + b) * d->rows + (c - p->chunks.begin) * p->options.chunk;
    if (d->tokens) call->data.tokens = d->tokens + row;
    if (d->targets) call->data.targets = d->targets + row;
    call->data.feature_width = d->feature_width;
    call->data.target_width = d->target_width;
    if (d->features) call->data.features = d->features + row * d->feature_width;
    if (d->target_features) call->data.target_features = d->target_features + row * d->target_width;
    if (w->row_loss) call->loss.rows = w->row_loss + row;
    size_t leaf = (size_t)(w->part.begin * rw_local_chunks(p)) + chunk_number(w, b, c);
    call->loss.sum = w->e->losses + leaf;
    if (!w->training) call->loss.correct = w->e->corrects + leaf;
}

static void set_carry(const rw_pass *w, rw_call *call, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = call->node;
    const rw_carry_place *place = &p->places[node->index].carry;
    size_t n = chunk_number(w, b, c);
    real *arena = w->e->arena;
    bool ordered = node->op->sequence;
    call->carry.transition = arena + place->transition + n * node->size.transition;
    if (ordered)
        call->carry.saved = arena + place->saved + n * (size_t)p->options.chunk * node->size.saved;
    else
        call->carry.state = call->carry.dstate_in = arena + place->part + n * node->size.state;
    call->carry.state_in =
        c > 0 ? arena + place->value + n * node->size.state : rw_step_carry_in(w, node->index, b);
    if (p->options.training && c < p->tree.chunks - 1)
        call->carry.dstate_out = arena + place->gradient + n * node->size.state;
}

/* Where node finds value v. */
static rw_place place_of(const rw_pass *w, const rw_node *node, int v)
{
    const rw_plan *p = w->e->plan;
    bool made = w->again && w->again[v];
    if (made || (w->replays && p->values[v].block == node->block))
        return (rw_place){false, p->values[v].recomputed, rw_graph_width(p->graph, v)};
    return p->values[v].value;
}

/* The call of node i on chunk c of sequence b of the micro-batch, forward. */
static void set_call(const rw_pass *w, int i, long b, long c, rw_call *call)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = &p->nodes[i];
    *call = (rw_call){.node = node, .rows = rw_plan_chunk_rows(p, c)};
    call->at.sequence = p->sequences.begin + w->part.begin + b;
    call->at.position = c * p->options.chunk;
    call->at.passed = w->batch->position;
    call->at.seed = w->seed;
    call->at.step = w->step;
    call->at.training = w->training;
    call->loss.scale = w->loss_scale;
    call->scratch = rw_op_scratch(w->e);
    call->derived = w->e->derived + p->places[i].derived;
    for (int k = 0; k < node->params; k++)
        call->param[k] = w->e->model->weights + rw_graph_param_at(p->graph, node->param[k])->offset;
    for (int k = 0; k < node->ins; k++) {
        rw_place place = place_of(w, node, node->in[k]);
        call->in_ld[k] = place.ld;
        call->in[k] = rw_pass_rows(w, &place, b, c) + node->in_begin[k];
    }
    if (node->out >= 0) {
        rw_place place = place_of(w, node, node->out);
        call->out_ld = place.ld;
        call->out = rw_pass_rows(w, &place, b, c);
    }
    if (rw_has_carry(node->op)) set_carry(w, call, b, c);
    set_data(w, call, b, c);
}

static void set_dout(const rw_pass *w, rw_call *call, long b, long c)
{
    const rw_node *node = call->node;
    if (node->out < 0) return;
    const rw_place *place = &w->e->plan->values[node->out].gradient;
    call->back.dout_ld = place->ld;
    call->back.dout = rw_pass_rows(w, place, b, c);
}

static real *thrown_away(const rw_engine *e)
{
    return e->discarded + (size_t)omp_get_thread_num() * e->plan->largest_leaf;
}

/* Adds what backward needs. Values in scratch have no forward contents then,
 * but in a replay: the plan stores whatever backward reads. Scratch begins with
 * room for gradients that are thrown away. */
static void set_backward(const rw_pass *w, rw_call *call, real *leaf, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = call->node;
    int i = node->index;
    call->back.discards = w->discards;
    if (w->discards) call->loss.sum = NULL;
    if (w->discards) leaf = thrown_away(w->e);
    for (int k = 0; k < node->ins; k++) {
        int v = node->in[k];
        if (!p->values[v].needs_gradient) continue;
        bool thrown = w->discards_input && p->values[v].block != node->block;
        rw_place place =
            thrown ? (rw_place){false, 0, rw_graph_width(p->graph, v)} : p->values[v].gradient;
        call->back.din_ld[k] = place.ld;
        call->back.din[k] = rw_pass_rows(w, &place, b, c) + node->in_begin[k];
        call->back.din_add[k] = !thrown && p->places[i].add[k];
    }
    set_dout(w, call, b, c);
    for (int k = 0; k < node->params; k++) call->back.dparam[k] = leaf + p->places[i].leaf_param[k];
    call->back.dderived = leaf + p->places[i].leaf_derived;
}

static void narrow_data(rw_call_data *data, int first)
{
    if (data->tokens) data->tokens += first;
    if (data->targets) data->targets += first;
    if (data->features) data->features += (size_t)first * (size_t)data->feature_width;
    if (data->target_features) data->target_features += (size_t)first * (size_t)data->target_width;
}

/* Restricts a call to rows [first, first + rows). */
static void narrow(rw_call *call, int first, int rows)
{
    const rw_node *node = call->node;
    call->rows = rows;
    call->at.position += first;
    for (int k = 0; k < node->ins; k++) {
        call->in[k] += (size_t)first * (size_t)call->in_ld[k];
        if (call->back.din[k]) call->back.din[k] += (size_t)first * (size_t)call->back.din_ld[k];
    }
    if (call->out) call->out += (size_t)first * (size_t)call->out_ld;
    if (call->back.dout) call->back.dout += (size_t)first * (size_t)call->back.dout_ld;
    if (call->carry.saved) call->carry.saved += (size_t)first * node->size.saved;
    narrow_data(&call->data, first);
    if (call->loss.rows) call->loss.rows += first;
}

/* ---- Documents ------------------------------------------------------------- */

/* Of chunk (b, c): 1 for each row at which a document begins; NULL: no documents. */
static const uint8_t *starts_of(const rw_pass *w, long b, long c)
{
    const rw_plan *p = w->e->plan;
    if (!w->batch->starts) return NULL;
    return w->batch->starts + (w->part.begin + b) * w->batch->rows +
           (c - p->chunks.begin) * p->options.chunk;
}

/* The piece of a chunk that begins at row `first` and holds one document only:
 * the row after its last. */
static int piece_end(const uint8_t *starts, int first, int all)
{
    if (!starts) return all;
    const uint8_t *next =
        first + 1 < all ? memchr(starts + first + 1, 1, (size_t)(all - first - 1)) : NULL;
    return next ? (int)(next - starts) : all;
}

static int last_piece(const uint8_t *starts, int all)
{
    int first = 0;
    for (int end; (end = piece_end(starts, first, all)) < all;) first = end;
    return first;
}

int rw_pass_groups(const rw_pass *w)
{
    return rw_plan_groups(w->e->layout, w->part.end - w->part.begin);
}

rw_range rw_pass_group(const rw_pass *w, int group)
{
    return rw_split(w->part.end - w->part.begin, rw_pass_groups(w), group);
}

void rw_pass_progress(const rw_pass *w)
{
    if (omp_get_thread_num() > 0) return;
    rw_gradient_sum_progress(w->e->sum);
    rw_carry_exchange_progress(w->e->exchange);
}

void rw_pass_find_cuts(const rw_pass *w)
{
    const rw_plan *p = w->e->plan;
    long local = rw_local_chunks(p), sequences = w->part.end - w->part.begin;
    for (long i = 0; w->batch->starts && i < sequences * local; i++) {
        long c = p->chunks.begin + i % local;
        const uint8_t *starts = starts_of(w, i / local, c);
        w->e->cuts[i] = memchr(starts, 1, (size_t)rw_plan_chunk_rows(p, c)) != NULL;
    }
}

/* Restricts the call of an op with a carry to rows [first, end) of the chunk:
 * only what lies before the first document boundary sees the state at the
 * chunk's start, only what lies after the last one reaches its end. */
static void narrow_to_piece(rw_call *call, const uint8_t *starts, int first, int end)
{
    int all = call->rows;
    if (first > 0 || (starts && starts[0])) call->carry.state_in = NULL;
    if (end < all) call->carry.dstate_out = NULL;
    if (end - first < all) narrow(call, first, end - first);
}

/* ---- Segments -------------------------------------------------------------- */

static void call_forward(const rw_pass *w, int i, long b, long c, int first, int rows)
{
    rw_call call;
    set_call(w, i, b, c, &call);
    if (rows < call.rows) narrow(&call, first, rows);
    call.node->op->forward(&call);
}

static void call_backward(const rw_pass *w, int i, real *leaf, long b, long c, int first, int rows)
{
    rw_call call;
    set_call(w, i, b, c, &call);
    set_backward(w, &call, leaf, b, c);
    if (rows < call.rows) narrow(&call, first, rows);
    call.node->op->backward(&call);
}

/* Global ops do all their work in the exchange. */
static bool is_global(const rw_pass *w, int i)
{
    return w->e->plan->nodes[i].op->global;
}

/* Ops with a carry see one document at a time. */
static void forward_pieces(const rw_pass *w, int i, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    int all = is_global(w, i) ? 0 : rw_plan_chunk_rows(w->e->plan, c);
    for (int first = 0, end; first < all; first = end) {
        rw_call call;
        end = piece_end(starts, first, all);
        set_call(w, i, b, c, &call);
        narrow_to_piece(&call, starts, first, end);
        call.node->op->forward(&call);
    }
}

static void backward_pieces(const rw_pass *w, int i, real *leaf, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    int all = is_global(w, i) ? 0 : rw_plan_chunk_rows(w->e->plan, c);
    for (int first = 0, end; first < all; first = end) {
        rw_call call;
        end = piece_end(starts, first, all);
        set_call(w, i, b, c, &call);
        set_backward(w, &call, leaf, b, c);
        narrow_to_piece(&call, starts, first, end);
        call.node->op->backward(&call);
    }
}

/* Sequence and global carries have theirs in the exchange. */
static bool runs_in_exchange(const rw_pass *w, int i)
{
    return is_global(w, i) || w->e->plan->nodes[i].op->sequence;
}

/* The last chunk's is needed by the next step alone. */
static void call_summary(const rw_pass *w, int i, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const uint8_t *starts = starts_of(w, b, c);
    rw_call call;
    bool last = c == p->tree.chunks - 1;
    if (runs_in_exchange(w, i) || (last && !p->options.carry)) return;
    set_call(w, i, b, c, &call);
    narrow_to_piece(&call, starts, last_piece(starts, call.rows), call.rows);
    rw_summary(call.node->op)(&call);
}

/* The first chunk's is not needed: no gradient goes back to the step before. */
static void call_adjoint(const rw_pass *w, int i, real *leaf, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    rw_call call;
    if (runs_in_exchange(w, i) || c == 0) return;
    set_call(w, i, b, c, &call);
    set_backward(w, &call, leaf, b, c);
    if (starts && starts[0]) {
        memset(call.carry.dstate_in, 0, call.node->size.state * sizeof(real));
        return;
    }
    narrow_to_piece(&call, starts, 0, piece_end(starts, 0, call.rows));
    rw_adjoint(call.node->op)(&call);
}

void rw_chunk_ordered_call(const rw_pass *w, int i, long b, long c, bool mirrored, real *end,
                           rw_call *call)
{
    const rw_plan *p = w->e->plan;
    const rw_carry_place *place = &p->places[i].carry;
    long next = mirrored ? c - 1 : c + 1;
    bool local = next >= p->chunks.begin && next < p->chunks.end;
    set_call(w, i, b, c, call);
    call->carry.starts = starts_of(w, b, c);
    real *slot = w->e->arena + (mirrored ? place->gradient : place->value);
    real *leaves = next == p->tree.chunks ? rw_step_carry_out(w, i, b) : NULL;
    real *to = local    ? slot + chunk_number(w, b, next) * p->nodes[i].size.state
               : leaves ? leaves
                        : end;
    if (mirrored) {
        set_dout(w, call, b, c);
        call->carry.dstate_in = to;
    } else {
        call->carry.state = to;
    }
}

/* A run of rowwise nodes goes tile by tile, so that what passes between them
 * stays in the nearest cache; any other node is a run of its own. */
static void run_forward(const rw_pass *w, const rw_segment *s, long b, long c)
{
    const rw_plan *p = w->e->plan;
    int all = rw_plan_chunk_rows(p, c);
    for (int i = s->first, end; i < s->last; i = end) {
        end = rw_plan_run_end(p, i, s->last);
        if (p->nodes[i].op->is_loss && w->training) continue;
        if (rw_opens(s, i)) {
            forward_pieces(w, i, b, c);
            continue;
        }
        int tile = end - i > 1 ? TILE : all;
        for (int first = 0; first < all; first += tile)
            for (int k = i; k < end; k++)
                call_forward(w, k, b, c, first, all - first < tile ? all - first : tile);
    }
}

void rw_chunk_forward(const rw_pass *w, const rw_segment *s, long b, long c)
{
    const rw_plan *p = w->e->plan;
    int first = (int)(s - p->segments);
    if (s->recompute == RW_RECOMPUTE_CHUNK) first = s->begin;
    for (const rw_segment *t = p->segments + first; t <= s; t++) run_forward(w, t, b, c);
    if (s->closes >= 0) call_summary(w, s->closes, b, c);
}

static int run_begin(const rw_plan *p, const rw_segment *s, int last)
{
    int begin = s->first, end;
    while ((end = rw_plan_run_end(p, begin, s->last)) < last) begin = end;
    return begin;
}

static void run_backward(const rw_pass *w, const rw_segment *s, real *leaf, long b, long c)
{
    const rw_plan *p = w->e->plan;
    int all = rw_plan_chunk_rows(p, c);
    if (s->closes >= 0) backward_pieces(w, s->closes, leaf, b, c);
    for (int last = s->last, begin; last > s->first; last = begin) {
        begin = run_begin(p, s, last);
        if (rw_opens(s, begin)) break;
        int tile = last - begin > 1 ? TILE : all;
        for (int first = 0; first < all; first += tile)
            for (int k = last - 1; k >= begin; k--)
                call_backward(w, k, leaf, b, c, first, all - first < tile ? all - first : tile);
    }
}

/* The block again up to its end, and backward to the segment behind s. Gradients
 * of parameters are taken when their segment has its turn, that of the block's
 * input when all of it is there, with the first segment. */
static void replay(rw_pass *w, const rw_segment *s, long b, long c)
{
    const rw_segment *all = w->e->plan->segments;
    w->replays = true;
    for (int t = s->begin; t < s->end; t++) run_forward(w, &all[t], b, c);
    w->discards = true;
    w->discards_input = s != &all[s->begin];
    for (const rw_segment *t = &all[s->end - 1]; t > s; t--) run_backward(w, t, NULL, b, c);
    w->discards = false;
}

/* What backward of segment s reads and was not kept. */
static void make_again(rw_pass *w, const rw_segment *s, long b, long c)
{
    const rw_plan *p = w->e->plan;
    int all = rw_plan_chunk_rows(p, c);
    w->again = rw_plan_recomputes(p, (int)(s - p->segments));
    for (int i = p->segments[s->begin].first; i < s->last; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->out < 0 || !w->again[node->out]) continue;
        if (rw_has_carry(node->op))
            forward_pieces(w, i, b, c);
        else
            call_forward(w, i, b, c, 0, all);
    }
}

void rw_chunk_backward(const rw_pass *pass, const rw_segment *s, real *leaf, long b, long c)
{
    rw_pass w = *pass;
    if (s->recompute == RW_RECOMPUTE_CHUNK)
        replay(&w, s, b, c);
    else
        make_again(&w, s, b, c);
    run_backward(&w, s, leaf, b, c);
    if (s->opens) call_adjoint(&w, s->first, leaf, b, c);
}
