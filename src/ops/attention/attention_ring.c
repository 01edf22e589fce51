/* Attention on a ring (Liu, Zaharia and Abbeel 2023, Ring attention, section 3). Blocks of keys and
 * values travel upward past the queries; queries see the nearest block first. In the backward pass
 * queries travel too, downward past the keys. So a rank adds up its whole gradient in canonical
 * order, and no partial sum travels. */
#include <string.h>

#include "mpi/ring.h"
#include "ops/attention/attention_route.h"

/* A wave: some sequences and slabs. */
typedef struct {
    const rw_attention_plan *plan;
    const rw_global *g;
    rw_range sequences, slabs;
    rw_attention_work work;
    rw_attention_target target[2];
    void (*pass)(const rw_attention_work *work, const rw_attention_target *target);
} wave;

static void pass_forward(const rw_attention_work *work, const rw_attention_target *target)
{
    rw_attention_forward(work, target[0], target[1]);
}

static void pass_queries(const rw_attention_work *work, const rw_attention_target *target)
{
    rw_attention_backward_queries(work, target[0]);
}

static void pass_keys(const rw_attention_work *work, const rw_attention_target *target)
{
    rw_attention_backward_keys(work, target[0], target[1]);
}

/* ---- Blocks on their way --------------------------------------------------------
 *
 * (rows, sequences and slabs of the wave, columns): a cut in rows is contiguous.
 * Columns of a slab: k | v,  or  q | dout | logs | dots of its group. */

static size_t wave_slabs(const wave *w)
{
    return (size_t)((w->sequences.end - w->sequences.begin) * (w->slabs.end - w->slabs.begin));
}

static rw_attention_rows part_of_block(const wave *w, const real *block, size_t width, long begin)
{
    return (rw_attention_rows){block, (size_t)(w->slabs.end - w->slabs.begin) * width, width,
                               wave_slabs(w) * width, begin};
}

/* `columns` a slab of the rank's rows, from column `at` of the block's on. */
static void pack(const wave *w, const real *rows, int ld, int columns, size_t width, size_t at)
{
    const rw_span *span = w->plan->span;
    const long count = rw_span_count(span), slabs = w->slabs.end - w->slabs.begin;
    real *block = w->plan->block[0] + at;
#pragma omp parallel for schedule(static) num_threads(span->layout->threads)
    for (long r = 0; r < count; r++)
        for (long s = w->sequences.begin; s < w->sequences.end; s++)
            for (long l = w->slabs.begin; l < w->slabs.end; l++) {
                size_t unit =
                    (size_t)(r * (w->sequences.end - w->sequences.begin) + s - w->sequences.begin);
                unit = unit * (size_t)slabs + (size_t)(l - w->slabs.begin);
                memcpy(block + unit * width,
                       rows + (size_t)(s * span->stride + r) * (size_t)ld + l * columns,
                       (size_t)columns * sizeof(real));
            }
}

static void pack_keys(const wave *w)
{
    const rw_attention_plan *p = w->plan;
    const rw_global *g = w->g;
    const size_t width = rw_attention_keys_width(p);
    pack(w, g->in[ATTENTION_K], g->in_ld[ATTENTION_K], p->width, width, 0);
    pack(w, g->in[ATTENTION_V], g->in_ld[ATTENTION_V], p->width, width, (size_t)p->width);
}

static void pack_queries(const wave *w)
{
    const rw_attention_plan *p = w->plan;
    const rw_global *g = w->g;
    const size_t width = rw_attention_queries_width(p);
    const int columns = p->group * p->width, heads = (int)g->node->size.saved;
    size_t at = 0;
    pack(w, g->in[ATTENTION_Q], g->in_ld[ATTENTION_Q], columns, width, at);
    pack(w, g->dout, g->dout_ld, columns, width, at += (size_t)columns);
    pack(w, g->saved, heads, p->group, width, at += (size_t)columns);
    pack(w, p->dots, heads, p->group, width, at + (size_t)p->group);
}

static void keys_arrive(void *context, rw_range rows, const real *block)
{
    wave *w = context;
    const size_t width = rw_attention_keys_width(w->plan);
    w->work.arrived = rows;
    w->work.k = part_of_block(w, block, width, rows.begin);
    w->work.v = part_of_block(w, block + w->plan->width, width, rows.begin);
    w->pass(&w->work, w->target);
}

static void queries_arrive(void *context, rw_range rows, const real *block)
{
    wave *w = context;
    const size_t width = rw_attention_queries_width(w->plan);
    const size_t columns = (size_t)(w->plan->group * w->plan->width);
    w->work.arrived = rows;
    w->work.q = part_of_block(w, block, width, rows.begin);
    w->work.dout = part_of_block(w, block + columns, width, rows.begin);
    w->work.logs = part_of_block(w, block + 2 * columns, width, rows.begin);
    w->work.dots = part_of_block(w, block + 2 * columns + w->plan->group, width, rows.begin);
    w->pass(&w->work, w->target);
}

static void travel(wave *w, bool keys)
{
    const rw_attention_plan *p = w->plan;
    const size_t width = keys ? rw_attention_keys_width(p) : rw_attention_queries_width(p);
    for (int r = 0; r < p->span->layout->sp; r++) {
        p->rows[r] = rw_span_rows(p->span, r);
        p->need[r] = keys ? rw_attention_keys_needed(&p->mask, w->sequences, p->rows[r])
                          : rw_attention_queries_needed(&p->mask, w->sequences, p->rows[r]);
    }
    rw_ring ring = {p->span->layout, p->rows, p->need, wave_slabs(w) * width, keys};
    rw_ring_run(&ring, p->block, keys ? keys_arrive : queries_arrive, w);
}

/* ---- Waves ---------------------------------------------------------------------- */

/* The wave's part of a matrix of the rank's rows. */
static rw_attention_rows own(const wave *w, const real *at, int ld, int width)
{
    rw_attention_rows rows = rw_attention_in_place(w->plan, at, ld, width);
    rows.at += (size_t)w->sequences.begin * rows.sequence + (size_t)w->slabs.begin * rows.slab;
    return rows;
}

static rw_attention_target to_own(const wave *w, real *at, int ld, int width, bool add)
{
    rw_attention_target rows = rw_attention_to_place(w->plan, at, ld, width, add);
    if (at)
        rows.at += (size_t)w->sequences.begin * rows.sequence + (size_t)w->slabs.begin * rows.slab;
    return rows;
}

static rw_attention_target to_gradient(const wave *w, int input)
{
    const int width = w->plan->width * (input == ATTENTION_Q ? w->plan->group : 1);
    return to_own(w, w->g->din[input], w->g->din_ld[input], width, w->g->din_add[input]);
}

static wave wave_of(const rw_attention_plan *plan, const rw_global *g, rw_range sequences,
                    rw_range slabs)
{
    wave w = {.plan = plan, .g = g, .sequences = sequences, .slabs = slabs, .work = plan->work};
    w.work.sequences = sequences;
    w.work.slabs = (int)(slabs.end - slabs.begin);
    w.work.resumed = true;
    return w;
}

static void wave_forward(wave *w)
{
    const rw_attention_plan *p = w->plan;
    const rw_global *g = w->g;
    const int columns = p->group * p->width;
    w->work.q = own(w, g->in[ATTENTION_Q], g->in_ld[ATTENTION_Q], columns);
    w->target[0] = to_own(w, g->out, g->out_ld, columns, false);
    w->target[1] = to_own(w, g->saved, (int)g->node->size.saved, p->group, false);
    w->pass = pass_forward;
    pack_keys(w);
    travel(w, true);
}

static void wave_backward(wave *w)
{
    const rw_attention_plan *p = w->plan;
    const rw_global *g = w->g;
    const int columns = p->group * p->width, heads = (int)g->node->size.saved;
    w->work.q = own(w, g->in[ATTENTION_Q], g->in_ld[ATTENTION_Q], columns);
    w->work.dout = own(w, g->dout, g->dout_ld, columns);
    w->work.logs = own(w, g->saved, heads, p->group);
    w->work.dots = own(w, p->dots, heads, p->group);
    w->target[0] = to_gradient(w, ATTENTION_Q);
    w->pass = pass_queries;
    pack_keys(w);
    travel(w, true);

    w->work.k = own(w, g->in[ATTENTION_K], g->in_ld[ATTENTION_K], p->width);
    w->work.v = own(w, g->in[ATTENTION_V], g->in_ld[ATTENTION_V], p->width);
    w->target[0] = to_gradient(w, ATTENTION_K);
    w->target[1] = to_gradient(w, ATTENTION_V);
    w->pass = pass_keys;
    pack_queries(w);
    travel(w, false);
}

static void run_waves(const rw_attention_plan *plan, const rw_global *g, void (*run)(wave *w))
{
    const long sequences = plan->span->sequences, slabs = plan->slabs;
    for (long s = 0; s < sequences; s += plan->wave_sequences)
        for (long l = 0; l < slabs; l += plan->wave_slabs) {
            rw_range some = {s, s + plan->wave_sequences}, part = {l, l + plan->wave_slabs};
            if (some.end > sequences) some.end = sequences;
            if (part.end > slabs) part.end = slabs;
            wave w = wave_of(plan, g, some, part);
            run(&w);
        }
}

void rw_attention_ring_forward(const rw_attention_plan *plan, const rw_global *g)
{
    run_waves(plan, g, wave_forward);
}

void rw_attention_ring_backward(const rw_attention_plan *plan, const rw_global *g)
{
    run_waves(plan, g, wave_backward);
}
