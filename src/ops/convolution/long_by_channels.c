/* Long convolution after an all-to-all by channels. A lane is a group of channels
 * of one sequence, all rows of it; threads take lanes. A rank alone has whole lanes in
 * its rows and works on them there. Ranks that share sequences exchange a few lanes at
 * a time, in rounds, so that never all rows of all values are there twice.
 *
 *   workspace   table | of each thread: spectrum, points, dh | u | h | dy | buffer
 *               (the last four of a round's lanes, where ranks share sequences) */
#include <omp.h>
#include <string.h>

#include "kernels/long_fft.h"
#include "mpi/lane_exchange.h"
#include "ops/convolution/long_paths.h"
#include "tensor/documents.h"

/* Bytes of a message that take about as long as it takes to send an empty one. */
enum { WORTH_A_MESSAGE = 1 << 16 };

int rw_long_lane_width(int width)
{
    int most = RW_CONV_GROUP;
    while (width % most != 0) most--;
    return most;
}

int rw_long_lanes_at_once(const rw_span *span, long sequences, int lanes, int width)
{
    const long threads = span->layout->most_threads;
    const long bytes = sequences * rw_span_most_rows(span) * width * (long)sizeof(real);
    long each = 1, count;
    while (sequences * each % threads) each++;
    for (count = each; count < lanes && count * bytes < WORTH_A_MESSAGE;) count += each;
    return count < lanes ? (int)count : lanes;
}

/* A value: row r of lane l of sequence b lies at b * sequence + l * lane + r * ld. */
typedef struct {
    real *at; /* NULL: not wanted */
    size_t sequence, lane;
    long ld;
    bool add;
} matrix;

enum { WHOLE_U, WHOLE_H, WHOLE_DY, WHOLES };

/* Sizes, where everything lies, and the round: lanes of all ranks, of this one. */
typedef struct {
    const rw_global *call;
    int width, all, first, lanes, own;
    long length;
    size_t group, thread; /* reals of a group's points, of a thread */
    real *table, *threads, *whole[WHOLES], *buffer;
    matrix u, h, dy, y, du, dh;
} work;

static bool is_alone(const rw_span *span)
{
    return span->layout->sp == 1;
}

/* Lanes of a round, of all ranks. */
static int lanes_of_round(const rw_span *span, int lanes, int width)
{
    const int sp = span->layout->sp, most = (lanes + sp - 1) / sp;
    const int round = sp * rw_long_lanes_at_once(span, span->most, most, width);
    return is_alone(span) || round > lanes ? lanes : round;
}

static size_t thread_reals(const rw_span *span, int width)
{
    return 2 * rw_long_group_reals(rw_long_points(span->length)) +
           (size_t)span->length * (size_t)width;
}

size_t rw_long_channels_workspace(const rw_node *node, const rw_span *span)
{
    const int width = rw_long_lane_width(node->out_width);
    const int round = lanes_of_round(span, node->out_width / width, width);
    const size_t mine = rw_long_table_reals(rw_long_points(span->length)) +
                        (size_t)span->layout->threads * thread_reals(span, width);
    if (is_alone(span)) return mine;
    return mine + WHOLES * rw_lanes_reals(span, round, width) + rw_lanes_buffer(span, round, width);
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
    w.width = rw_long_lane_width(call->node->out_width);
    w.all = call->node->out_width / w.width;
    w.group = rw_long_group_reals(n);
    w.thread = thread_reals(span, w.width);
    w.table = call->workspace;
    w.threads = w.table + rw_long_table_reals(n);
    real *next = w.threads + (size_t)span->layout->threads * w.thread;
    size_t each = rw_lanes_reals(span, lanes_of_round(span, w.all, w.width), w.width);
    for (int i = 0; i < WHOLES; i++) w.whole[i] = next + (size_t)i * each;
    w.buffer = next + WHOLES * each;
    rw_long_set_table(span, w.table);
    return w;
}

/* ---- Rounds ------------------------------------------------------------------------ */

/* Those of the ranks' shares of all lanes: a rank has as many in all rounds as if all
 * were split at once. */
static bool next_round(work *w)
{
    const rw_span *span = &w->call->span;
    const int round = lanes_of_round(span, w->all, w->width);
    w->first += w->lanes;
    w->lanes = w->all - w->first < round ? w->all - w->first : round;
    rw_range own = rw_lanes_own(span, w->lanes);
    w->own = (int)(own.end - own.begin);
    return w->lanes > 0;
}

static matrix whole_of(const work *w, int i)
{
    const size_t lane = (size_t)w->length * (size_t)w->width;
    return (matrix){w->whole[i], (size_t)w->own * lane, lane, w->width, false};
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
    rw_lanes_gather(span, w->lanes, w->width, rows + w->first * w->width, ld, w->whole[i],
                    w->buffer);
    return whole_of(w, i);
}

/* Where a result is made: over what is not read any more. */
static matrix target(const work *w, const real *rows, int ld, bool add, int i)
{
    if (!rows) return (matrix){0};
    return is_alone(&w->call->span) ? rows_of(w, rows, ld, add) : whole_of(w, i);
}

static void scatter(const work *w, int i, real *rows, int ld, bool add)
{
    const rw_span *span = &w->call->span;
    if (is_alone(span) || !rows) return;
    rw_lanes_scatter(span, w->lanes, w->width, w->whole[i], rows + w->first * w->width, ld, add,
                     w->buffer);
}

/* ---- Lanes ------------------------------------------------------------------------- */

/* The end of the document of sequence b that begins at `first`. */
static long document_end(const work *w, long b, long first)
{
    const uint8_t *starts = w->call->starts;
    return rw_document_end(starts ? starts + b * w->length : NULL, first, w->length);
}

static real *lane_of(const matrix *m, long b, long lane)
{
    return m->at + (size_t)b * m->sequence + (size_t)lane * m->lane;
}

static rw_long_rows lane_rows(const work *w, const matrix *m, long b, long lane, long first,
                              long end)
{
    return (rw_long_rows){end - first, w->width, lane_of(m, b, lane) + first * m->ld, m->ld};
}

static rw_long_out lane_out(const work *w, const matrix *m, long b, long lane, long first, long end)
{
    real *at = lane_of(m, b, lane) + first * m->ld;
    return (rw_long_out){end - first, w->width, at, m->ld, m->add};
}

/* Lags of a document of so many rows. Rows that stand before the sequence are tokens of
 * the step before, but the filter has its lags in the rows behind them, and no others. */
static rw_long_rows lags_of(const work *w, long b, long lane, long rows)
{
    const long before = w->call->span.before, last = before + rows;
    return lane_rows(w, &w->h, b, lane, before, last < w->length ? last : w->length);
}

static void convolve_lane(const work *w, long b, long lane, real *scratch)
{
    real *spectrum = scratch, *points = scratch + w->group;
    for (long first = 0, end; first < w->length; first = end) {
        end = document_end(w, b, first);
        long n = rw_long_points(end - first);
        rw_long_rows lags = lags_of(w, b, lane, end - first);
        rw_long_rows x = lane_rows(w, &w->u, b, lane, first, end);
        rw_long_transform(n, w->table, &lags, spectrum);
        rw_long_convolve(n, w->table, spectrum, &x, lane_out(w, &w->y, b, lane, first, end),
                         points);
    }
}

/* Lags that the filter does not have are dropped. */
static void put_lags(const work *w, long b, long lane, const real *lags)
{
    const long before = w->call->span.before;
    real *row = lane_of(&w->dh, b, lane);
    for (long r = 0; r < w->length; r++, row += w->dh.ld) {
        const real *from = r < before ? NULL : lags + (r - before) * w->width;
        for (int c = 0; c < w->width; c++) row[c] = (w->dh.add ? row[c] : 0) + (from ? from[c] : 0);
    }
}

/* dh is the sum over documents in their order. It may lie over h, and du over u. */
static void correlate_lane(const work *w, long b, long lane, real *scratch)
{
    real *spectrum = scratch, *points = spectrum + w->group, *dh = points + w->group;
    memset(dh, 0, sizeof(real) * (size_t)w->length * (size_t)w->width);
    for (long first = 0, end; first < w->length; first = end) {
        end = document_end(w, b, first);
        long n = rw_long_points(end - first);
        rw_long_rows lags = lags_of(w, b, lane, end - first);
        rw_long_rows x = lane_rows(w, &w->u, b, lane, first, end);
        rw_long_rows gradient = lane_rows(w, &w->dy, b, lane, first, end);
        rw_long_out sum = {end - first, w->width, dh, w->width, true};
        rw_long_transform(n, w->table, &gradient, spectrum);
        if (w->dh.at) rw_long_correlate(n, w->table, spectrum, &x, sum, points);
        if (w->du.at)
            rw_long_correlate(n, w->table, spectrum, &lags,
                              lane_out(w, &w->du, b, lane, first, end), points);
    }
    if (w->dh.at) put_lags(w, b, lane, dh);
}

typedef void lane_work(const work *w, long b, long lane, real *scratch);

static void for_all_lanes(const work *w, lane_work *run)
{
    const rw_span *span = &w->call->span;
    long lanes = span->sequences * w->own;
#pragma omp parallel num_threads(span->layout->threads)
    {
        real *scratch = w->threads + (size_t)omp_get_thread_num() * w->thread;
#pragma omp for schedule(dynamic)
        for (long lane = 0; lane < lanes; lane++) run(w, lane / w->own, lane % w->own, scratch);
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
        for_all_lanes(&w, convolve_lane);
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
        for_all_lanes(&w, correlate_lane);
        for (int k = 0; k < RW_LONG_INPUTS; k++)
            scatter(&w, whole[k], call->din[k], call->din_ld[k], call->din_add[k]);
    }
}
