/* Long convolution after an all-to-all by channels. A slab is a group of channels with all rows of
 * a sequence; threads take slabs. A rank with whole sequences works on its rows in place. Ranks
 * that share sequences exchange a few slabs at a time, in rounds: a rank never holds two copies of
 * all rows of all values.
 *
 *   workspace   table | of each thread: spectrum, points, dh | u | h | dy | buffer
 *               (the last four of a round's slabs, where ranks share sequences) */
#include <omp.h>
#include <string.h>

#include "kernels/long_fft.h"
#include "mpi/slab_exchange.h"
#include "ops/convolution/long_paths.h"
#include "data/documents.h"

/* Bytes of a message that takes about twice as long as an empty message. */
enum { WORTH_A_MESSAGE = 1 << 16 };

int rw_long_slab_width(int width)
{
    int most = RW_CONV_GROUP;
    while (width % most != 0) most--;
    return most;
}

int rw_long_slabs_at_once(const rw_span *span, long sequences, int slabs, int width)
{
    const long threads = span->layout->most_threads;
    const long bytes = sequences * rw_span_most_rows(span) * width * (long)sizeof(real);
    long each = 1, count;
    while (sequences * each % threads) each++;
    for (count = each; count < slabs && count * bytes < WORTH_A_MESSAGE;) count += each;
    return count < slabs ? (int)count : slabs;
}

/* A value: row r of slab l of sequence b lies at b * sequence + l * slab + r * ld. */
typedef struct {
    real *at; /* NULL: not wanted */
    size_t sequence, slab;
    long ld;
    bool add;
} matrix;

enum { WHOLE_U, WHOLE_H, WHOLE_DY, WHOLES };

/* Sizes, memory, and the round: slabs of all ranks, slabs of this rank. */
typedef struct {
    const rw_global *call;
    int width, all, first, slabs, own;
    long length;
    size_t group, thread; /* reals of a group's points, of a thread */
    real *table, *threads, *whole[WHOLES], *buffer;
    matrix u, h, dy, y, du, dh;
} work;

static bool is_alone(const rw_span *span)
{
    return span->layout->sp == 1;
}

/* Slabs of a round, of all ranks. */
static int slabs_of_round(const rw_span *span, int slabs, int width)
{
    const int sp = span->layout->sp, most = (slabs + sp - 1) / sp;
    const int round = sp * rw_long_slabs_at_once(span, span->most, most, width);
    return is_alone(span) || round > slabs ? slabs : round;
}

static size_t thread_reals(const rw_span *span, int width)
{
    return 2 * rw_long_group_reals(rw_long_points(span->length)) +
           (size_t)span->length * (size_t)width;
}

size_t rw_long_channels_workspace(const rw_node *node, const rw_span *span)
{
    const int width = rw_long_slab_width(node->out_width);
    const int round = slabs_of_round(span, node->out_width / width, width);
    const size_t mine = rw_long_table_reals(rw_long_points(span->length)) +
                        (size_t)span->layout->threads * thread_reals(span, width);
    if (is_alone(span)) return mine;
    return mine + WHOLES * rw_slabs_reals(span, round, width) + rw_slabs_buffer(span, round, width);
}

void rw_long_set_table(const rw_span *span, real *table)
{
    int parts = span->layout->threads;
    long n = rw_long_points(span->length);
#pragma omp parallel for schedule(static) num_threads(parts)
    for (int part = 0; part < parts; part++) rw_long_table_fill(n, part, parts, table);
}

static work begin(const rw_global *call)
{
    const rw_span *span = &call->span;
    long n = rw_long_points(span->length);
    work w = {.call = call, .length = span->length};
    w.width = rw_long_slab_width(call->node->out_width);
    w.all = call->node->out_width / w.width;
    w.group = rw_long_group_reals(n);
    w.thread = thread_reals(span, w.width);
    w.table = call->workspace;
    w.threads = w.table + rw_long_table_reals(n);
    real *next = w.threads + (size_t)span->layout->threads * w.thread;
    size_t each = rw_slabs_reals(span, slabs_of_round(span, w.all, w.width), w.width);
    for (int i = 0; i < WHOLES; i++) w.whole[i] = next + (size_t)i * each;
    w.buffer = next + WHOLES * each;
    rw_long_set_table(span, w.table);
    return w;
}

/* ---- Rounds ------------------------------------------------------------------------ */

/* The slabs of a round in the ranks' shares of all slabs: over all rounds a rank has as many slabs
 * as without rounds. */
static bool next_round(work *w)
{
    const rw_span *span = &w->call->span;
    const int round = slabs_of_round(span, w->all, w->width);
    w->first += w->slabs;
    w->slabs = w->all - w->first < round ? w->all - w->first : round;
    rw_range own = rw_slabs_own(span, w->slabs);
    w->own = (int)(own.end - own.begin);
    return w->slabs > 0;
}

static matrix whole_of(const work *w, int i)
{
    const size_t slab = (size_t)w->length * (size_t)w->width;
    return (matrix){w->whole[i], (size_t)w->own * slab, slab, w->width, false};
}

static matrix rows_of(const work *w, const real *rows, int ld, bool add)
{
    const size_t sequence = (size_t)w->call->span.stride * (size_t)ld;
    return (matrix){(real *)rows, sequence, (size_t)w->width, ld, add};
}

static matrix gather(const work *w, const real *rows, int ld, int i)
{
    const rw_span *span = &w->call->span;
    if (is_alone(span)) return rows_of(w, rows, ld, false);
    rw_slabs_gather(span, w->slabs, w->width, rows + w->first * w->width, ld, w->whole[i],
                    w->buffer);
    return whole_of(w, i);
}

/* The place of a result: over an input that nobody reads any more. */
static matrix target(const work *w, const real *rows, int ld, bool add, int i)
{
    if (!rows) return (matrix){0};
    return is_alone(&w->call->span) ? rows_of(w, rows, ld, add) : whole_of(w, i);
}

static void scatter(const work *w, int i, real *rows, int ld, bool add)
{
    const rw_span *span = &w->call->span;
    if (is_alone(span) || !rows) return;
    rw_slabs_scatter(span, w->slabs, w->width, w->whole[i], rows + w->first * w->width, ld, add,
                     w->buffer);
}

/* ---- Slabs ------------------------------------------------------------------------- */

/* The end of the document of sequence b that begins at `first`. */
static long document_end(const work *w, long b, long first)
{
    const uint8_t *starts = w->call->starts;
    return rw_document_end(starts ? starts + b * w->length : NULL, first, w->length);
}

static real *slab_of(const matrix *m, long b, long slab)
{
    return m->at + (size_t)b * m->sequence + (size_t)slab * m->slab;
}

static rw_long_rows slab_rows(const work *w, const matrix *m, long b, long slab, long first,
                              long end)
{
    return (rw_long_rows){end - first, w->width, slab_of(m, b, slab) + first * m->ld, m->ld};
}

static rw_long_out slab_out(const work *w, const matrix *m, long b, long slab, long first, long end)
{
    real *at = slab_of(m, b, slab) + first * m->ld;
    return (rw_long_out){end - first, w->width, at, m->ld, m->add};
}

/* Lags of a document of `rows` rows. Past rows are tokens of an earlier step; the filter has its
 * lags in the rows after them, and no others. */
static rw_long_rows lags_of(const work *w, long b, long slab, long rows)
{
    const long before = w->call->span.before, last = before + rows;
    return slab_rows(w, &w->h, b, slab, before, last < w->length ? last : w->length);
}

static void convolve_slab(const work *w, long b, long slab, real *scratch)
{
    real *spectrum = scratch, *points = scratch + w->group;
    for (long first = 0, end; first < w->length; first = end) {
        end = document_end(w, b, first);
        long n = rw_long_points(end - first);
        rw_long_rows lags = lags_of(w, b, slab, end - first);
        rw_long_rows x = slab_rows(w, &w->u, b, slab, first, end);
        rw_long_transform(n, w->table, &lags, spectrum);
        rw_long_convolve(n, w->table, spectrum, &x, slab_out(w, &w->y, b, slab, first, end),
                         points);
    }
}

/* Drops lags beyond the filter. */
static void put_lags(const work *w, long b, long slab, const real *lags)
{
    const long before = w->call->span.before;
    real *row = slab_of(&w->dh, b, slab);
    for (long r = 0; r < w->length; r++, row += w->dh.ld) {
        const real *from = r < before ? NULL : lags + (r - before) * w->width;
        for (int c = 0; c < w->width; c++) row[c] = (w->dh.add ? row[c] : 0) + (from ? from[c] : 0);
    }
}

/* dh is the sum over documents, in their order. dh may overwrite h, and du may overwrite u. */
static void correlate_slab(const work *w, long b, long slab, real *scratch)
{
    real *spectrum = scratch, *points = spectrum + w->group, *dh = points + w->group;
    memset(dh, 0, sizeof(real) * (size_t)w->length * (size_t)w->width);
    for (long first = 0, end; first < w->length; first = end) {
        end = document_end(w, b, first);
        long n = rw_long_points(end - first);
        rw_long_rows lags = lags_of(w, b, slab, end - first);
        rw_long_rows x = slab_rows(w, &w->u, b, slab, first, end);
        rw_long_rows gradient = slab_rows(w, &w->dy, b, slab, first, end);
        rw_long_out sum = {end - first, w->width, dh, w->width, true};
        rw_long_transform(n, w->table, &gradient, spectrum);
        if (w->dh.at) rw_long_correlate(n, w->table, spectrum, &x, sum, points);
        if (w->du.at)
            rw_long_correlate(n, w->table, spectrum, &lags,
                              slab_out(w, &w->du, b, slab, first, end), points);
    }
    if (w->dh.at) put_lags(w, b, slab, dh);
}

typedef void slab_work(const work *w, long b, long slab, real *scratch);

static void for_all_slabs(const work *w, slab_work *run)
{
    const rw_span *span = &w->call->span;
    long slabs = span->sequences * w->own;
#pragma omp parallel num_threads(span->layout->threads)
    {
        real *scratch = w->threads + (size_t)omp_get_thread_num() * w->thread;
#pragma omp for schedule(dynamic)
        for (long slab = 0; slab < slabs; slab++) run(w, slab / w->own, slab % w->own, scratch);
    }
}

/* ---- The whole --------------------------------------------------------------------- */

void rw_long_channels_forward(const rw_global *call)
{
    work w = begin(call);
    while (next_round(&w)) {
        w.u = gather(&w, call->in[RW_LONG_INPUT], call->in_ld[RW_LONG_INPUT], WHOLE_U);
        w.h = gather(&w, call->in[RW_LONG_FILTER], call->in_ld[RW_LONG_FILTER], WHOLE_H);
        w.y = target(&w, call->out, call->out_ld, false, WHOLE_U);
        for_all_slabs(&w, convolve_slab);
        scatter(&w, WHOLE_U, call->out, call->out_ld, false);
    }
}

void rw_long_channels_backward(const rw_global *call)
{
    static const int whole[] = {[RW_LONG_INPUT] = WHOLE_U, [RW_LONG_FILTER] = WHOLE_H};
    work w = begin(call);
    while (next_round(&w)) {
        matrix *in[] = {[RW_LONG_INPUT] = &w.u, [RW_LONG_FILTER] = &w.h};
        matrix *din[] = {[RW_LONG_INPUT] = &w.du, [RW_LONG_FILTER] = &w.dh};
        w.dy = gather(&w, call->dout, call->dout_ld, WHOLE_DY);
        for (int k = 0; k < RW_LONG_INPUTS; k++) {
            *in[k] = gather(&w, call->in[k], call->in_ld[k], whole[k]);
            *din[k] = target(&w, call->din[k], call->din_ld[k], call->din_add[k], whole[k]);
        }
        for_all_slabs(&w, correlate_slab);
        for (int k = 0; k < RW_LONG_INPUTS; k++)
            scatter(&w, whole[k], call->din[k], call->din_ld[k], call->din_add[k]);
    }
}
