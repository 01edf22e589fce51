#include "model/chunk_call.h"

#include <omp.h>

#include "model/step_carry.h"

/* ---- Forward ------------------------------------------------------------------ */

static void set_place(const rw_chunk *at, rw_call *call)
{
    const rw_pass *w = at->pass;
    const rw_plan *p = w->e->plan;
    call->at = (rw_call_place){
        .sequence = p->sequences.begin + w->part.begin + at->sequence,
        .position = at->chunk * p->options.chunk,
        .passed = w->batch->position,
        .seed = w->seed,
        .step = w->step,
        .training = w->training,
    };
}

static void set_data(const rw_chunk *at, rw_call *call)
{
    const rw_pass *w = at->pass;
    const rw_plan *p = w->e->plan;
    const rw_batch *d = w->batch;
    const long row =
        (w->part.begin + at->sequence) * d->rows + (at->chunk - p->chunks.begin) * p->options.chunk;
    const size_t number =
        (size_t)(w->part.begin * rw_local_chunks(p)) + rw_pass_chunk(w, at->sequence, at->chunk);
    call->data.feature_width = d->feature_width;
    call->data.target_width = d->target_width;
    if (d->tokens) call->data.tokens = d->tokens + row;
    if (d->targets) call->data.targets = d->targets + row;
    if (d->features) call->data.features = d->features + row * d->feature_width;
    if (d->target_features) call->data.target_features = d->target_features + row * d->target_width;
    call->loss.scale = w->loss_scale;
    if (w->row_loss) call->loss.rows = w->row_loss + row;
    call->loss.sum = w->e->losses + number;
    if (!w->training) call->loss.correct = w->e->corrects + number;
}

static void set_carry(const rw_chunk *at, rw_call *call)
{
    const rw_pass *w = at->pass;
    const rw_plan *p = w->e->plan;
    const rw_node *node = call->node;
    const rw_carry_place *place = &p->places[node->index].carry;
    const size_t n = rw_pass_chunk(w, at->sequence, at->chunk), state = node->size.state;
    real *arena = w->e->arena;
    call->carry.transition = arena + place->transition + n * node->size.transition;
    if (node->op->sequence)
        call->carry.saved = arena + place->saved + n * (size_t)p->options.chunk * node->size.saved;
    else
        call->carry.state = call->carry.dstate_in = arena + place->part + n * state;
    call->carry.state_in = at->chunk > 0 ? arena + place->value + n * state
                                         : rw_step_carry_in(w, node->index, at->sequence);
    if (p->options.training && at->chunk < p->tree.chunks - 1)
        call->carry.dstate_out = arena + place->gradient + n * state;
}

/* Where the node finds value v. */
static rw_place place_of(const rw_chunk *at, const rw_node *node, int v)
{
    const rw_plan *p = at->pass->e->plan;
    const rw_value_plan *value = &p->values[v];
    if ((at->in_scratch && at->in_scratch[v]) ||
        (at->block_in_scratch && value->block == node->block))
        return (rw_place){false, value->recomputed, rw_graph_width(p->graph, v)};
    return value->value;
}

static real *rows_of(const rw_chunk *at, const rw_place *place)
{
    return rw_pass_rows(at->pass, place, at->sequence, at->chunk);
}

void rw_chunk_call(const rw_chunk *at, int i, rw_call *call)
{
    const rw_engine *e = at->pass->e;
    const rw_node *node = &e->plan->nodes[i];
    *call = (rw_call){.node = node, .rows = rw_plan_chunk_rows(e->plan, at->chunk)};
    call->scratch = rw_op_scratch(e);
    call->derived = e->derived + e->plan->places[i].derived;
    rw_graph_params_of(e->plan->graph, node, e->model->weights, (real **)call->param);
    for (int k = 0; k < node->ins; k++) {
        const rw_place place = place_of(at, node, node->in[k]);
        call->in_ld[k] = place.ld;
        call->in[k] = rows_of(at, &place) + node->in_begin[k];
    }
    if (node->out >= 0) {
        const rw_place place = place_of(at, node, node->out);
        call->out_ld = place.ld;
        call->out = rows_of(at, &place);
    }
    set_place(at, call);
    set_data(at, call);
    if (rw_has_carry(node->op)) set_carry(at, call);
}

/* ---- Backward ----------------------------------------------------------------- */

static void set_dout(const rw_chunk *at, rw_call *call)
{
    const rw_node *node = call->node;
    if (node->out < 0) return;
    const rw_place *place = &at->pass->e->plan->values[node->out].gradient;
    call->back.dout_ld = place->ld;
    call->back.dout = rows_of(at, place);
}

/* Scratch begins with room for the gradient of the input of a block that nobody reads. */
static void set_din(const rw_chunk *at, rw_call *call, int k)
{
    const rw_plan *p = at->pass->e->plan;
    const rw_node *node = call->node;
    const rw_value_plan *value = &p->values[node->in[k]];
    if (!value->needs_gradient) return;
    const bool discards = at->discards_input && value->block != node->block;
    const rw_place room = {false, 0, rw_graph_width(p->graph, node->in[k])};
    const rw_place *place = discards ? &room : &value->gradient;
    call->back.din_ld[k] = place->ld;
    call->back.din[k] = rows_of(at, place) + node->in_begin[k];
    call->back.din_add[k] = !discards && p->places[node->index].add[k];
}

void rw_chunk_call_backward(const rw_chunk *at, real *leaf, rw_call *call)
{
    const rw_engine *e = at->pass->e;
    const rw_node *node = call->node;
    const rw_node_plan *place = &e->plan->places[node->index];
    if (at->discards) {
        call->back.discards = true;
        call->loss.sum = NULL;
        leaf = e->discarded + (size_t)omp_get_thread_num() * e->plan->largest_leaf;
    }
    for (int k = 0; k < node->ins; k++) set_din(at, call, k);
    set_dout(at, call);
    for (int k = 0; k < node->params; k++) call->back.dparam[k] = leaf + place->leaf_param[k];
    call->back.dderived = leaf + place->leaf_derived;
}

/* ---- Parts of a chunk --------------------------------------------------------- */

static void narrow_data(rw_call_data *data, int first)
{
    if (data->tokens) data->tokens += first;
    if (data->targets) data->targets += first;
    if (data->features) data->features += (size_t)first * (size_t)data->feature_width;
    if (data->target_features) data->target_features += (size_t)first * (size_t)data->target_width;
}

void rw_call_narrow(rw_call *call, int first, int rows)
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

void rw_call_narrow_to_document(rw_call *call, const uint8_t *starts, int first, int end)
{
    int all = call->rows;
    if (first > 0 || (starts && starts[0])) call->carry.state_in = NULL;
    if (end < all) call->carry.dstate_out = NULL;
    if (end - first < all) rw_call_narrow(call, first, end - first);
}

/* ---- In order ----------------------------------------------------------------- */

void rw_chunk_ordered_call(const rw_pass *w, int i, long b, long c, bool mirrored, real *end,
                           rw_call *call)
{
    const rw_plan *p = w->e->plan;
    const rw_carry_place *place = &p->places[i].carry;
    const rw_chunk at = {.pass = w, .sequence = b, .chunk = c};
    const long next = mirrored ? c - 1 : c + 1;
    real *to = end;
    if (next >= p->chunks.begin && next < p->chunks.end)
        to = w->e->arena + (mirrored ? place->gradient : place->value) +
             rw_pass_chunk(w, b, next) * p->nodes[i].size.state;
    else if (next == p->tree.chunks && rw_step_carry_out(w, i, b))
        to = rw_step_carry_out(w, i, b);
    rw_chunk_call(&at, i, call);
    call->carry.starts = rw_pass_starts(w, b, c);
    if (mirrored) {
        set_dout(&at, call);
        call->carry.dstate_in = to;
    } else {
        call->carry.state = to;
    }
}
