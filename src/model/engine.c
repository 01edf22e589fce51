#include "model/engine.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "model/gradient_sum.h"
#include "mpi/shift.h"
#include "mpi/tree_scan.h"

/* Rows of a tile: what a run of rowwise ops does before it goes on. */
enum { TILE = 32 };

struct rw_engine {
    rw_model *model;
    const rw_layout *layout;
    rw_plan *plan;
    rw_gradient_sum *sum;
    rw_scan *scan;
    real *arena;    /* stored values, gradients, carries: offsets in the plan */
    real *scratch;  /* (threads, plan->scratch + plan->op_scratch) */
    real *derived;  /* what prepare made of the parameters */
    real *dderived; /* its gradient */
    real *shift;    /* exchange buffer of shift carries */
    double *losses; /* (local sequences, local chunks) */
    double *corrects; /* same shape */
    uint8_t *cuts;    /* (sequences of a micro-batch, local chunks): a document begins in it */
};

/* One step (or evaluation) under way. */
typedef struct {
    rw_engine *e;
    const rw_batch *batch;
    rw_range part; /* local sequences of this micro-batch */
    uint64_t seed, step;
    bool training;
    real loss_scale;
    real *row_loss;
} pass;

/* ---- Making -------------------------------------------------------------- */

static rw_status allocate(rw_engine *e)
{
    const rw_plan *p = e->plan;
    size_t threads = (size_t)e->layout->threads, map = 0, state = 0, shift = 0;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->op->carry == RW_CARRY_SHIFT && node->state > shift) shift = node->state;
        if (node->op->carry != RW_CARRY_TREE) continue;
        if (node->map > map) map = node->map;
        if (node->state > state) state = node->state;
    }
    long local = p->chunks.end - p->chunks.begin;
    long sequences = p->sequences.end - p->sequences.begin;
    RW_TRY(rw_alloc(p->arena, sizeof(real), "activations", &e->arena));
    RW_TRY(rw_alloc(threads * (p->scratch + p->op_scratch + 32), sizeof(real), "scratch memory",
                    &e->scratch));
    RW_TRY(rw_alloc(p->derived_total, sizeof(real), "derived parameters", &e->derived));
    RW_TRY(rw_alloc(2 * (size_t)p->micro * shift, sizeof(real), "halos", &e->shift));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->losses));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->corrects));
    RW_TRY(rw_alloc((size_t)(p->micro * local), 1, "documents", &e->cuts));
    RW_TRY(rw_scan_new(e->layout, p->micro, p->tree.chunks, map, state, &e->scan));
    size_t dderived = 0;
    for (int i = 0; i < p->node_count; i++)
        if (p->nodes[i].derived_grad > dderived) dderived = p->nodes[i].derived_grad;
    RW_TRY(rw_alloc(dderived, sizeof(real), "gradients of derived parameters", &e->dderived));
    return rw_gradient_sum_new(p, e->layout, &e->sum);
}

rw_status rw_engine_new(rw_model *model, const rw_layout *layout, const rw_plan_options *options,
                        rw_engine **out)
{
    rw_status status = RW_OK;
    rw_engine *e = NULL;
    RW_TRY(rw_alloc(1, sizeof *e, "the engine", &e));
    e->model = model;
    e->layout = layout;
    RW_TRY_DONE(rw_plan_new(model->graph, layout, options, &e->plan));
    RW_TRY_DONE(allocate(e));
done:
    if (status != RW_OK) rw_engine_destroy(&e);
    *out = e;
    return status;
}

void rw_engine_destroy(rw_engine **engine)
{
    rw_engine *e = *engine;
    if (!e) return;
    rw_gradient_sum_destroy(&e->sum);
    rw_scan_destroy(&e->scan);
    rw_free(&e->arena);
    rw_free(&e->scratch);
    rw_free(&e->derived);
    rw_free(&e->dderived);
    rw_free(&e->shift);
    rw_free(&e->losses);
    rw_free(&e->corrects);
    rw_free(&e->cuts);
    rw_plan_destroy(&e->plan);
    rw_free(engine);
}

rw_range rw_engine_sequences(const rw_engine *engine) { return engine->plan->sequences; }

rw_range rw_engine_rows(const rw_engine *engine)
{
    long begin = engine->plan->chunks.begin * engine->plan->options.chunk;
    return (rw_range){begin, begin + rw_plan_rows(engine->plan)};
}

size_t rw_engine_bytes(const rw_engine *engine)
{
    const rw_plan *p = engine->plan;
    return sizeof(real) * (p->arena + p->derived_total +
                           (size_t)engine->layout->threads * (p->scratch + p->op_scratch));
}

/* ---- Arguments of a call --------------------------------------------------- */

static long local_chunks(const rw_plan *p) { return p->chunks.end - p->chunks.begin; }

/* Number of the chunk among those of the micro-batch. */
static size_t chunk_number(const pass *w, long b, long c)
{
    const rw_plan *p = w->e->plan;
    return (size_t)(b * local_chunks(p) + c - p->chunks.begin);
}

static real *thread_scratch(const rw_engine *e)
{
    size_t each = e->plan->scratch + (e->plan->op_scratch + 15) / 16 * 16 + 16;
    return e->scratch + (size_t)omp_get_thread_num() * (each / 16 * 16);
}

/* Row 0 of a value or gradient in chunk (b, c). */
static real *rows_of(const pass *w, const rw_place *place, int width, long b, long c)
{
    if (!place->stored) return thread_scratch(w->e) + place->offset;
    return w->e->arena + place->offset +
           chunk_number(w, b, c) * (size_t)w->e->plan->options.chunk * (size_t)width;
}

static void set_data(const pass *w, rw_call *call, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_batch *d = w->batch;
    long row = (w->part.begin + b) * d->rows + (c - p->chunks.begin) * p->options.chunk;
    if (d->tokens) call->tokens = d->tokens + row;
    if (d->targets) call->targets = d->targets + row;
    if (d->features) call->features = d->features + row * d->feature_width;
    if (d->target_features)
        call->target_features = d->target_features + row * d->target_width;
    if (w->row_loss) call->row_loss = w->row_loss + row;
    size_t leaf = (size_t)(w->part.begin * local_chunks(p)) + chunk_number(w, b, c);
    call->loss = w->e->losses + leaf;
    if (!w->training) call->correct = w->e->corrects + leaf;
}

static void set_carry(const pass *w, rw_call *call, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = call->node;
    const rw_carry_place *place = &p->carry[node->index];
    size_t n = chunk_number(w, b, c);
    real *arena = w->e->arena;
    call->map = arena + place->map + n * node->map;
    call->state = call->dstate_in = arena + place->part + n * node->state;
    call->state_in = c > 0 ? arena + place->value + n * node->state : NULL;
    if (p->options.training && c < p->tree.chunks - 1)
        call->dstate_out = arena + place->gradient + n * node->state;
}

/* The call of node i on chunk c of sequence b of the micro-batch, forward. */
static void set_call(const pass *w, int i, long b, long c, rw_call *call)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = &p->nodes[i];
    *call = (rw_call){.node = node, .rows = rw_plan_chunk_rows(p, c)};
    call->sequence = p->sequences.begin + w->part.begin + b;
    call->position = c * p->options.chunk;
    call->seed = w->seed;
    call->step = w->step;
    call->training = w->training;
    call->loss_scale = w->loss_scale;
    call->scratch = thread_scratch(w->e) + (p->scratch + 15) / 16 * 16;
    call->derived = w->e->derived + p->derived[i];
    for (int k = 0; k < node->params; k++)
        call->param[k] =
            w->e->model->weights + rw_graph_param_at(p->graph, node->param[k])->offset;
    for (int k = 0; k < node->ins; k++) {
        int width = rw_graph_width(p->graph, node->in[k]);
        call->in_ld[k] = width;
        call->in[k] = rows_of(w, &p->value[node->in[k]], width, b, c) + node->in_begin[k];
    }
    if (node->out >= 0) {
        call->out_ld = node->out_width;
        call->out = rows_of(w, &p->value[node->out], node->out_width, b, c);
    }
    if (node->op->carry != RW_CARRY_NONE) set_carry(w, call, b, c);
    set_data(w, call, b, c);
}

/* Adds what backward needs. Values in scratch have no forward contents then:
 * the plan stores whatever backward reads. */
static void set_backward(const pass *w, rw_call *call, real *leaf, long b, long c)
{
    const rw_plan *p = w->e->plan;
    const rw_node *node = call->node;
    int i = node->index;
    for (int k = 0; k < node->ins; k++) {
        int v = node->in[k], width = rw_graph_width(p->graph, v);
        if (!p->needs_gradient[v]) continue;
        call->din_ld[k] = width;
        call->din[k] = rows_of(w, &p->gradient[v], width, b, c) + node->in_begin[k];
        call->din_add[k] = p->add[i][k];
    }
    if (node->out >= 0) {
        call->dout_ld = node->out_width;
        call->dout = rows_of(w, &p->gradient[node->out], node->out_width, b, c);
    }
    for (int k = 0; k < node->params; k++) call->dparam[k] = leaf + p->leaf_param[i][k];
    call->dderived = leaf + p->leaf_derived[i];
}

/* Restricts a call to rows [first, first + rows). */
static void narrow(rw_call *call, int first, int rows, int feature_width)
{
    const rw_node *node = call->node;
    call->rows = rows;
    call->position += first;
    for (int k = 0; k < node->ins; k++) {
        call->in[k] += (size_t)first * (size_t)call->in_ld[k];
        if (call->din[k]) call->din[k] += (size_t)first * (size_t)call->din_ld[k];
    }
    if (call->out) call->out += (size_t)first * (size_t)call->out_ld;
    if (call->dout) call->dout += (size_t)first * (size_t)call->dout_ld;
    if (call->tokens) call->tokens += first;
    if (call->features) call->features += (size_t)first * (size_t)feature_width;
}

/* ---- Documents ------------------------------------------------------------- */

/* Of chunk (b, c): 1 for each row at which a document begins; NULL: no documents. */
static const uint8_t *starts_of(const pass *w, long b, long c)
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
    const uint8_t *next = first + 1 < all ? memchr(starts + first + 1, 1, (size_t)(all - first - 1))
                                          : NULL;
    return next ? (int)(next - starts) : all;
}

static int last_piece(const uint8_t *starts, int all)
{
    int first = 0;
    for (int end; (end = piece_end(starts, first, all)) < all;) first = end;
    return first;
}

static void find_cuts(const pass *w)
{
    const rw_plan *p = w->e->plan;
    long local = local_chunks(p), sequences = w->part.end - w->part.begin;
    for (long i = 0; w->batch->starts && i < sequences * local; i++) {
        long c = p->chunks.begin + i % local;
        const uint8_t *starts = starts_of(w, i / local, c);
        w->e->cuts[i] = memchr(starts, 1, (size_t)rw_plan_chunk_rows(p, c)) != NULL;
    }
}

/* Restricts the call of an op with a carry to rows [first, end) of the chunk:
 * only what lies before the first document boundary sees the state at the
 * chunk's start, only what lies after the last one reaches its end. */
static void narrow_to_piece(const pass *w, rw_call *call, const uint8_t *starts, int first, int end)
{
    int all = call->rows;
    if (first > 0 || (starts && starts[0])) call->state_in = NULL;
    if (end < all) call->dstate_out = NULL;
    if (end - first < all) narrow(call, first, end - first, w->batch->feature_width);
}

/* ---- Segments -------------------------------------------------------------- */

static void call_forward(const pass *w, int i, long b, long c, int first, int rows)
{
    rw_call call;
    set_call(w, i, b, c, &call);
    if (rows < call.rows) narrow(&call, first, rows, w->batch->feature_width);
    call.node->op->forward(&call);
}

static void call_backward(const pass *w, int i, real *leaf, long b, long c, int first, int rows)
{
    rw_call call;
    set_call(w, i, b, c, &call);
    set_backward(w, &call, leaf, b, c);
    if (rows < call.rows) narrow(&call, first, rows, w->batch->feature_width);
    call.node->op->backward(&call);
}

/* Ops with a carry see one document at a time. */
static void forward_pieces(const pass *w, int i, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    int all = rw_plan_chunk_rows(w->e->plan, c);
    for (int first = 0, end; first < all; first = end) {
        rw_call call;
        end = piece_end(starts, first, all);
        set_call(w, i, b, c, &call);
        narrow_to_piece(w, &call, starts, first, end);
        call.node->op->forward(&call);
    }
}

static void backward_pieces(const pass *w, int i, real *leaf, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    int all = rw_plan_chunk_rows(w->e->plan, c);
    for (int first = 0, end; first < all; first = end) {
        rw_call call;
        end = piece_end(starts, first, all);
        set_call(w, i, b, c, &call);
        set_backward(w, &call, leaf, b, c);
        narrow_to_piece(w, &call, starts, first, end);
        call.node->op->backward(&call);
    }
}

static void call_summary(const pass *w, int i, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    rw_call call;
    set_call(w, i, b, c, &call);
    narrow_to_piece(w, &call, starts, last_piece(starts, call.rows), call.rows);
    call.node->op->summary(&call);
}

static void call_adjoint(const pass *w, int i, real *leaf, long b, long c)
{
    const uint8_t *starts = starts_of(w, b, c);
    rw_call call;
    set_call(w, i, b, c, &call);
    set_backward(w, &call, leaf, b, c);
    if (starts && starts[0]) {
        memset(call.dstate_in, 0, call.node->state * sizeof(real));
        return;
    }
    narrow_to_piece(w, &call, starts, 0, piece_end(starts, 0, call.rows));
    call.node->op->adjoint(&call);
}

/* A run of rowwise nodes goes tile by tile, so that what passes between them
 * stays in the nearest cache; any other node is a run of its own. */
static void forward_chunk(const pass *w, const rw_segment *s, long b, long c)
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
    if (s->closes >= 0 && c < p->tree.chunks - 1) call_summary(w, s->closes, b, c);
}

static int run_begin(const rw_plan *p, const rw_segment *s, int last)
{
    int begin = s->first, end;
    while ((end = rw_plan_run_end(p, begin, s->last)) < last) begin = end;
    return begin;
}

static void backward_chunk(const pass *w, const rw_segment *s, real *leaf, long b, long c)
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
    if (s->opens && c > 0) call_adjoint(w, s->first, leaf, b, c);
}

/* The affine arithmetic of a node, for the scan. */
typedef struct {
    const rw_node *node;
    const real *derived;
} arithmetic;

static void advance(const void *context, const real *map, int level, bool transpose, int begin,
                    int end, const real *x, const real *b, real *y)
{
    const arithmetic *a = context;
    a->node->op->advance(a->node, a->derived, map, level, transpose, begin, end, x, b, y);
}

static void compose(const void *context, const real *left, const real *right, real *out)
{
    const arithmetic *a = context;
    a->node->op->compose(a->node, left, right, out);
}

static void exchange(const pass *w, int i, bool mirrored)
{
    rw_engine *e = w->e;
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    const rw_carry_place *place = &p->carry[i];
    long sequences = w->part.end - w->part.begin;
    real *out = e->arena + (mirrored ? place->gradient : place->value);
    if (node->op->carry == RW_CARRY_SHIFT) {
        rw_shift_run(e->layout, sequences, local_chunks(p), node->state, mirrored,
                     e->arena + place->part, out, e->shift);
        return;
    }
    arithmetic a = {node, e->derived + p->derived[i]};
    rw_affine affine = {node->map, node->state, node->lanes, &a, advance, compose};
    rw_scan_run(e->scan, &affine, sequences, mirrored, w->batch->starts ? e->cuts : NULL,
                e->arena + place->map, e->arena + place->part, out);
}

static void forward_segment(const pass *w, int s)
{
    const rw_plan *p = w->e->plan;
    const rw_segment *segment = &p->segments[s];
    long local = local_chunks(p), all = (w->part.end - w->part.begin) * local;
#pragma omp parallel
    {
        rw_range mine = rw_split(all, omp_get_num_threads(), omp_get_thread_num());
        for (long i = mine.begin; i < mine.end; i++)
            forward_chunk(w, segment, i / local, p->chunks.begin + i % local);
    }
    if (segment->closes >= 0) exchange(w, segment->closes, false);
}

static void backward_segment(const pass *w, int s)
{
    const rw_plan *p = w->e->plan;
    const rw_segment *segment = &p->segments[s];
    rw_gradient_sum *sum = w->e->sum;
    long local = local_chunks(p), all = (w->part.end - w->part.begin) * local;
#pragma omp parallel
    {
        int thread = omp_get_thread_num();
        rw_range mine = rw_split(all, omp_get_num_threads(), thread);
        for (long i = mine.begin; i < mine.end; i++) {
            long b = i / local, c = p->chunks.begin + i % local;
            real *leaf = rw_gradient_sum_leaf(sum, thread, segment->leaf);
            backward_chunk(w, segment, leaf, b, c);
            long number = rw_tree_leaf(&p->tree, p->sequences.begin + w->part.begin + b, c);
            rw_gradient_sum_push(sum, thread, number, segment->leaf);
        }
    }
    rw_gradient_sum_collect(sum, s);
    if (segment->opens) exchange(w, segment->first, true);
}

/* ---- Parameters: once a step ------------------------------------------------ */

static void params_of(const rw_engine *e, real *base, int i, real **param)
{
    const rw_node *node = &e->plan->nodes[i];
    for (int k = 0; k < node->params; k++)
        param[k] = base + rw_graph_param_at(e->plan->graph, node->param[k])->offset;
}

static real *prepare_scratch(const rw_engine *e)
{
    return thread_scratch(e) + (e->plan->scratch + 15) / 16 * 16;
}

static void prepare(rw_engine *e)
{
    const rw_plan *p = e->plan;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (!node->op->prepare) continue;
        real *param[RW_MAX_OP_PARAMS];
        params_of(e, e->model->weights, i, param);
#pragma omp parallel
        {
            rw_range lanes = rw_split(node->lanes, omp_get_num_threads(), omp_get_thread_num());
            if (lanes.end > lanes.begin)
                node->op->prepare(node, (const real *const *)param, e->derived + p->derived[i],
                                  (int)lanes.begin, (int)lanes.end, prepare_scratch(e));
        }
    }
}

static void prepare_backward(rw_engine *e, int i, const real *dderived)
{
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    real *param[RW_MAX_OP_PARAMS], *dparam[RW_MAX_OP_PARAMS];
    params_of(e, e->model->weights, i, param);
    params_of(e, e->model->gradient, i, dparam);
#pragma omp parallel
    {
        rw_range lanes = rw_split(node->lanes, omp_get_num_threads(), omp_get_thread_num());
        if (lanes.end > lanes.begin)
            node->op->prepare_backward(node, (const real *const *)param, e->derived + p->derived[i],
                                       dderived, dparam, (int)lanes.begin, (int)lanes.end,
                                       prepare_scratch(e));
    }
}

/* Adds the summed leaf's part of node i to the gradient of the parameters. */
static void spread(rw_engine *e, int i, const real *total)
{
    const rw_plan *p = e->plan;
    const rw_node *node = &p->nodes[i];
    real *dparam[RW_MAX_OP_PARAMS];
    params_of(e, e->model->gradient, i, dparam);
    for (int k = 0; k < node->params; k++) {
        const real *from = total + p->leaf_param[i][k];
        real *to = dparam[k];
        long n = node->param_rows[k] * node->param_cols[k];
#pragma omp parallel for schedule(static)
        for (long j = 0; j < n; j++) to[j] += from[j];
    }
    if (node->derived_grad) prepare_backward(e, i, total + p->leaf_derived[i]);
}

static void reduce_segment(rw_engine *e, int s)
{
    const rw_segment *segment = &e->plan->segments[s];
    if (!segment->leaf) return;
    const real *total = rw_gradient_sum_total(e->sum, s);
    if (segment->closes >= 0) spread(e, segment->closes, total);
    for (int i = segment->last - 1; i >= segment->first; i--)
        if (!rw_opens(segment, i)) spread(e, i, total);
}

/* ---- Steps -------------------------------------------------------------------- */

static double count_targets(const rw_engine *e, const rw_batch *batch)
{
    long counted = batch->counted;
    /* The ranks of one sp_comm hold different tokens: every rank counts its own. */
    MPI_Allreduce(MPI_IN_PLACE, &counted, 1, MPI_LONG, MPI_SUM, e->layout->world);
    return (double)counted;
}

static double mean_loss(rw_engine *e, double counted)
{
    return rw_gradient_sum_scalar(e->sum, e->losses) / (counted > 0 ? counted : 1);
}

static bool first_of_block(const rw_plan *p, int s)
{
    return s == 0 || p->segments[s - 1].block != p->segments[s].block;
}

static void backward_micro(const pass *w, bool last)
{
    const rw_plan *p = w->e->plan;
    for (int s = p->segment_count - 1, end = p->segment_count; s >= 0; s--) {
        int first = s;
        while (!first_of_block(p, first)) first--;
        bool enters = s == end - 1;
        for (int r = first; enters && p->options.recompute && r < end; r++) forward_segment(w, r);
        backward_segment(w, s);
        if (last) reduce_segment(w->e, s);
        if (s == first) end = first;
    }
}

void rw_engine_train(rw_engine *e, const rw_batch *batch, uint64_t seed, uint64_t step,
                     rw_loss *out)
{
    const rw_plan *p = e->plan;
    pass w = {.e = e, .batch = batch, .seed = seed, .step = step, .training = true};
    out->counted = count_targets(e, batch);
    w.loss_scale = (real)(1 / (out->counted > 0 ? out->counted : 1));
    memset(e->model->gradient, 0, rw_graph_weights(p->graph) * sizeof(real));
    rw_gradient_sum_reset(e->sum);
    prepare(e);
    for (int m = 0; m < p->options.accumulate; m++) {
        w.part = rw_split(batch->sequences, p->options.accumulate, m);
        find_cuts(&w);
        for (int s = 0; s < p->segment_count; s++) forward_segment(&w, s);
        backward_micro(&w, m == p->options.accumulate - 1);
    }
    out->loss = mean_loss(e, out->counted);
    out->correct = 0;
}

void rw_engine_evaluate(rw_engine *e, const rw_batch *batch, real *row_loss, rw_loss *out)
{
    const rw_plan *p = e->plan;
    pass w = {.e = e, .batch = batch, .row_loss = row_loss};
    out->counted = count_targets(e, batch);
    prepare(e);
    for (int m = 0; m < p->options.accumulate; m++) {
        w.part = rw_split(batch->sequences, p->options.accumulate, m);
        find_cuts(&w);
        for (int s = 0; s < p->segment_count; s++) forward_segment(&w, s);
    }
    out->loss = mean_loss(e, out->counted);
    out->correct = rw_gradient_sum_scalar(e->sum, e->corrects);
}
