#include "model/past_rows.h"

#include <string.h>

#include "base/memory.h"
#include "model/step_carry.h"

/* The last column of a past row in the state between steps: the kind of the row. Rows and kinds are
 * in one tensor, because a checkpoint holds one tensor for each state; so a kind is stored as a
 * real. All columns of an ABSENT row (before the first step) are zero. */
enum { ABSENT, PRESENT, BEGINS };

rw_span rw_past_rows_extend(const rw_span *span, long past)
{
    rw_span out = *span;
    bool first = span->layout->sp_rank == 0;
    out.length += past;
    out.before = past;
    out.rows.begin += first ? 0 : past;
    out.rows.end += past;
    if (first) out.stride += past;
    return out;
}

/* ---- Copies ------------------------------------------------------------------------ */

/* Of the first rank: inputs | output | their gradients. */
static size_t copied_reals(const rw_plan *p, const rw_node *node)
{
    long past = p->places[node->index].past_rows,
         rows = past + rw_local_chunks(p) * p->options.chunk;
    size_t columns = rw_plan_input_width(node) + (size_t)node->out_width;
    return past ? 2 * (size_t)(p->micro * rows) * columns : 0;
}

rw_status rw_past_rows_allocate(rw_engine *e)
{
    const rw_plan *p = e->plan;
    size_t reals = 0;
    long longest = 0;
    for (int i = 0; i < p->node_count; i++) {
        size_t copied = copied_reals(p, &p->nodes[i]);
        if (copied > reals) reals = copied;
        if (p->places[i].past_rows > longest) longest = p->places[i].past_rows;
    }
    if (longest == 0) return RW_OK;
    if (e->layout->sp_rank == 0)
        RW_TRY(rw_alloc(reals, sizeof(real), "rows of global ops", &e->extended));
    return rw_alloc((size_t)(p->micro * (longest + p->options.length)), 1, "documents",
                    &e->extended_starts);
}

/* Rows of all sequences of a matrix; the same of another. */
typedef struct {
    real *at;
    long stride;
    int ld;
} matrix;

static matrix own_matrix(const rw_global *g, const real *at, int ld)
{
    return (matrix){(real *)at, g->span.stride, ld};
}

/* After the past rows. */
static matrix extended_matrix(const rw_global *g, const real *at, int ld)
{
    return own_matrix(g, at + g->span.before * ld, ld);
}

static void copy(const rw_global *own, matrix from, matrix to, int width)
{
    const long rows = rw_span_count(&own->span);
#pragma omp parallel for collapse(2) schedule(static) num_threads(own->span.layout->threads)
    for (long b = 0; b < own->span.sequences; b++)
        for (long r = 0; r < rows; r++)
            memcpy(to.at + (b * to.stride + r) * to.ld, from.at + (b * from.stride + r) * from.ld,
                   (size_t)width * sizeof(real));
}

/* Past rows of an input: columns of the state between steps; of an output: zero. */
static void fill_past(const rw_pass *w, const rw_global *g, real *at, int width, size_t column,
                      bool came_in)
{
    const size_t each = rw_plan_input_width(g->node) + 1;
    for (long b = 0; b < g->span.sequences; b++) {
        const real *in = rw_step_carry_in(w, g->node->index, b) + column;
        for (long r = 0; r < g->span.before; r++) {
            real *to = at + (b * g->span.stride + r) * width;
            if (came_in)
                memcpy(to, in + (size_t)r * each, (size_t)width * sizeof *to);
            else
                memset(to, 0, (size_t)width * sizeof *to);
        }
    }
}

static real *take(const rw_global *g, real **next, int width)
{
    real *at = *next;
    *next += (size_t)(g->span.sequences * g->span.stride) * (size_t)width;
    return at;
}

/* In the backward pass only the inputs that the op reads there: other inputs are no longer stored.
 */
static void open_inputs(const rw_pass *w, const rw_global *own, rw_global *g, real **next,
                        bool mirrored)
{
    size_t column = 0;
    for (int k = 0; k < g->node->ins; column += (size_t)g->node->in_width[k++]) {
        const int width = g->in_ld[k] = g->node->in_width[k];
        real *at = take(g, next, width);
        g->in[k] = at;
        if (mirrored && !(g->node->op->promises.keeps_in >> k & 1)) continue;
        fill_past(w, g, at, width, column, true);
        copy(own, own_matrix(own, own->in[k], own->in_ld[k]), extended_matrix(g, at, width), width);
    }
}

static void open_output(const rw_pass *w, const rw_global *own, rw_global *g, real **next,
                        bool mirrored)
{
    const int width = g->out_ld;
    g->out = take(g, next, width);
    if (!mirrored || !g->node->op->promises.keeps_out) return;
    fill_past(w, g, g->out, width, 0, false);
    copy(own, own_matrix(own, own->out, width), extended_matrix(g, g->out, width), width);
}

/* A gradient with din_add is copied as well, so that the sums of the op have one order. */
static void open_gradients(const rw_pass *w, const rw_global *own, rw_global *g, real **next)
{
    real *dout = take(g, next, g->dout_ld);
    g->dout = dout;
    fill_past(w, g, dout, g->dout_ld, 0, false);
    copy(own, own_matrix(own, own->dout, own->dout_ld), extended_matrix(g, dout, g->dout_ld),
         g->dout_ld);
    for (int k = 0; k < g->node->ins; k++) {
        const int width = g->node->in_width[k];
        if (!g->din[k]) continue;
        g->din[k] = take(g, next, width);
        g->din_ld[k] = width;
        if (!g->din_add[k]) continue;
        fill_past(w, g, g->din[k], width, 0, false);
        copy(own, own_matrix(own, own->din[k], own->din_ld[k]),
             extended_matrix(g, g->din[k], width), width);
    }
}

static void close_gradients(const rw_global *own, const rw_global *g)
{
    for (int k = 0; k < g->node->ins; k++)
        if (own->din[k])
            copy(own, extended_matrix(g, g->din[k], g->din_ld[k]),
                 own_matrix(own, own->din[k], own->din_ld[k]), g->node->in_width[k]);
}

/* ---- Documents --------------------------------------------------------------------- */

/* A document begins where it began in the earlier step, and at the first present row. */
static const uint8_t *extend_starts(const rw_pass *w, const rw_global *own, long past)
{
    const size_t columns = rw_plan_input_width(own->node), length = (size_t)own->span.length;
    uint8_t *to = w->e->extended_starts;
    for (long b = 0; b < own->span.sequences; b++, to += length) {
        const real *row = rw_step_carry_in(w, own->node->index, b);
        bool there = false;
        for (long r = 0; r < past; r++, row += columns + 1) {
            const int says = (int)row[columns];
            *to++ = says == BEGINS || (says == PRESENT && !there);
            there = says != ABSENT;
        }
        if (own->starts)
            memcpy(to, own->starts + (size_t)b * length, length);
        else
            memset(to, 0, length);
        if (!there) to[0] = 1;
    }
    return w->e->extended_starts;
}

/* ---- The next step's --------------------------------------------------------------- */

static void keep_row(const rw_global *own, long b, long t, real *to)
{
    const long row = b * own->span.stride + t - own->span.rows.begin;
    for (int k = 0; k < own->node->ins; k++) {
        const int width = own->node->in_width[k];
        memcpy(to, own->in[k] + row * own->in_ld[k], (size_t)width * sizeof *to);
        to += width;
    }
    *to = own->starts && own->starts[b * own->span.length + t] ? BEGINS : PRESENT;
}

/* Keeps the last rows that this rank holds. */
static void keep_rows(const rw_pass *w, const rw_global *own, long past)
{
    const size_t each = rw_plan_input_width(own->node) + 1;
    const long first = own->span.length - past;
    const rw_range rows = own->span.rows;
    for (long b = 0; b < own->span.sequences; b++) {
        real *to = rw_step_carry_out(w, own->node->index, b);
        for (long t = rows.begin > first ? rows.begin : first; t < rows.end; t++)
            keep_row(own, b, t, to + (size_t)(t - first) * each);
    }
}

/* ---- The call ---------------------------------------------------------------------- */

rw_global rw_past_rows_open(const rw_pass *w, const rw_global *own, bool mirrored)
{
    const long past = w->e->plan->places[own->node->index].past_rows;
    real *next = w->e->extended;
    rw_global g = *own;
    g.span = rw_past_rows_extend(&own->span, past);
    g.starts = extend_starts(w, own, past);
    if (own->span.layout->sp_rank > 0) return g;
    open_inputs(w, own, &g, &next, mirrored);
    open_output(w, own, &g, &next, mirrored);
    if (mirrored) open_gradients(w, own, &g, &next);
    return g;
}

void rw_past_rows_close(const rw_pass *w, const rw_global *own, const rw_global *g, bool mirrored)
{
    const bool copied = own->span.layout->sp_rank == 0;
    if (mirrored) {
        if (copied) close_gradients(own, g);
        return;
    }
    if (copied)
        copy(own, extended_matrix(g, g->out, g->out_ld), own_matrix(own, own->out, own->out_ld),
             g->out_ld);
    keep_rows(w, own, w->e->plan->places[own->node->index].past_rows);
}
