/* Long convolution after an all-to-all by channels. A lane is a group of channels
 * of one sequence, all rows of it, dense; threads take lanes.
 *
 *   workspace   table | u | h | dy | of each thread: spectrum, points, dh | buffer */
#include <omp.h>
#include <string.h>

#include "kernels/long_fft.h"
#include "mpi/lane_exchange.h"
#include "ops/long_paths.h"

int rw_long_lane_width(int width)
{
    int most = RW_CONV_GROUP;
    while (width % most != 0) most--;
    return most;
}

/* Sizes, and where everything lies. */
typedef struct {
    const rw_global *call;
    int width, lanes, own; /* channels of a lane; lanes of all, of this rank */
    long length;
    size_t lane, group, thread; /* reals of a lane, of a group's points, of a thread */
    real *table, *u, *h, *dy, *threads, *buffer;
} work;

static size_t thread_reals(const rw_span *span, int width)
{
    return 2 * rw_long_group_reals(rw_long_points(span->length)) +
           (size_t)span->length * (size_t)width;
}

size_t rw_long_channels_workspace(const rw_node *node, const rw_span *span)
{
    int width = rw_long_lane_width(node->out_width), lanes = node->out_width / width;
    return rw_long_table_reals(rw_long_points(span->length)) +
           3 * rw_lanes_reals(span, lanes, width) +
           (size_t)span->layout->threads * thread_reals(span, width) +
           rw_lanes_buffer(span, lanes, width);
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
    w.lanes = call->node->out_width / w.width;
    rw_range own = rw_lanes_own(span, w.lanes);
    w.own = (int)(own.end - own.begin);
    w.lane = (size_t)w.length * (size_t)w.width;
    w.group = rw_long_group_reals(n);
    w.thread = thread_reals(span, w.width);
    size_t whole = rw_lanes_reals(span, w.lanes, w.width);
    w.table = call->workspace;
    w.u = w.table + rw_long_table_reals(n);
    w.h = w.u + whole;
    w.dy = w.h + whole;
    w.threads = w.dy + whole;
    w.buffer = w.threads + (size_t)span->layout->threads * w.thread;
    rw_long_set_table(span, w.table);
    return w;
}

static void gather(const work *w, const real *rows, int ld, real *whole)
{
    rw_lanes_gather(&w->call->span, w->lanes, w->width, rows, ld, whole, w->buffer);
}

static void scatter(const work *w, const real *whole, real *rows, int ld, bool add)
{
    rw_lanes_scatter(&w->call->span, w->lanes, w->width, whole, rows, ld, add, w->buffer);
}

/* The end of the document of sequence b that begins at `first`. */
static long document_end(const work *w, long b, long first)
{
    const uint8_t *starts = w->call->starts;
    const uint8_t *next =
        starts ? memchr(starts + b * w->length + first + 1, 1, (size_t)(w->length - first - 1))
               : NULL;
    return next ? next - (starts + b * w->length) : w->length;
}

static rw_long_rows rows_of(const work *w, const real *lane, long first, long end)
{
    return (rw_long_rows){end - first, w->width, lane + first * w->width, w->width};
}

static rw_long_out out_of(const work *w, real *lane, long first, bool add)
{
    return (rw_long_out){lane + first * w->width, w->width, add};
}

/* Rows that stand before the sequence are tokens of the step before, but the filter
 * has its lags in the rows behind them: its lags come first, then zeros. */
static void begin_with_lags(const work *w, real *h)
{
    const size_t before = (size_t)w->call->span.before * (size_t)w->width;
    if (before == 0) return;
    memmove(h, h + before, (w->lane - before) * sizeof(real));
    memset(h + w->lane - before, 0, before * sizeof(real));
}

/* And back: lags that the filter does not have are dropped. */
static void put_lags(const work *w, const real *lags, real *dh)
{
    const size_t before = (size_t)w->call->span.before * (size_t)w->width;
    memset(dh, 0, before * sizeof(real));
    memcpy(dh + before, lags, (w->lane - before) * sizeof(real));
}

/* y over u. */
static void convolve_lane(const work *w, long b, size_t lane, real *scratch)
{
    real *u = w->u + lane * w->lane, *h = w->h + lane * w->lane;
    real *spectrum = scratch, *points = scratch + w->group;
    begin_with_lags(w, h);
    for (long first = 0, end; first < w->length; first = end) {
        end = document_end(w, b, first);
        long n = rw_long_points(end - first);
        rw_long_rows filter = rows_of(w, h, 0, end - first), x = rows_of(w, u, first, end);
        rw_long_transform(n, w->table, &filter, spectrum);
        rw_long_convolve(n, w->table, spectrum, &x, out_of(w, u, first, false), points);
    }
}

/* du over dy, dh over h: the sum over documents in their order. */
static void correlate_lane(const work *w, long b, size_t lane, real *scratch)
{
    real *u = w->u + lane * w->lane, *h = w->h + lane * w->lane, *dy = w->dy + lane * w->lane;
    real *spectrum = scratch, *points = spectrum + w->group, *dh = points + w->group;
    memset(dh, 0, w->lane * sizeof(real));
    begin_with_lags(w, h);
    for (long first = 0, end; first < w->length; first = end) {
        end = document_end(w, b, first);
        long n = rw_long_points(end - first);
        rw_long_rows filter = rows_of(w, h, 0, end - first), x = rows_of(w, u, first, end);
        rw_long_rows gradient = rows_of(w, dy, first, end);
        rw_long_transform(n, w->table, &gradient, spectrum);
        rw_long_correlate(n, w->table, spectrum, &x, out_of(w, dh, 0, true), points);
        rw_long_correlate(n, w->table, spectrum, &filter, out_of(w, dy, first, false), points);
    }
    put_lags(w, dh, h);
}

typedef void lane_work(const work *w, long b, size_t lane, real *scratch);

static void for_all_lanes(const work *w, lane_work *run)
{
    const rw_span *span = &w->call->span;
    long lanes = span->sequences * w->own;
#pragma omp parallel num_threads(span->layout->threads)
    {
        real *scratch = w->threads + (size_t)omp_get_thread_num() * w->thread;
#pragma omp for schedule(dynamic)
        for (long lane = 0; lane < lanes; lane++) run(w, lane / w->own, (size_t)lane, scratch);
    }
}

void rw_long_channels_forward(const rw_global *call)
{
    work w = begin(call);
    gather(&w, call->in[RW_LONG_INPUT], call->in_ld[RW_LONG_INPUT], w.u);
    gather(&w, call->in[RW_LONG_FILTER], call->in_ld[RW_LONG_FILTER], w.h);
    for_all_lanes(&w, convolve_lane);
    scatter(&w, w.u, call->out, call->out_ld, false);
}

void rw_long_channels_backward(const rw_global *call)
{
    work w = begin(call);
    const real *result[] = {[RW_LONG_INPUT] = w.dy, [RW_LONG_FILTER] = w.h};
    gather(&w, call->in[RW_LONG_INPUT], call->in_ld[RW_LONG_INPUT], w.u);
    gather(&w, call->in[RW_LONG_FILTER], call->in_ld[RW_LONG_FILTER], w.h);
    gather(&w, call->dout, call->dout_ld, w.dy);
    for_all_lanes(&w, correlate_lane);
    for (int k = 0; k < RW_LONG_INPUTS; k++)
        if (call->din[k]) scatter(&w, result[k], call->din[k], call->din_ld[k], call->din_add[k]);
}
