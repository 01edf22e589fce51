/* The rows that a dilated causal convolution of K taps reads, side by side:
 *
 *   y_t = [x_t | x_{t-d} | ... | x_{t-(K-1)d}],   zero before the document begins
 *
 * A halo of (K-1) d rows brings rows of other ranks, of as many ranks as needed (mpi/halo.h). In
 * the backward pass a rank computes the gradient of its own rows, k upwards:
 *
 *   dx_s = sum_k dy_{s+kd}[k]
 *
 * Halos on the other side bring the next k d rows of the columns of delay k. Volume sent by a rank,
 * with S sequences of width w: S (K-1) d w reals forward, S K (K-1) / 2 d w backward. */
#include <string.h>

#include "mpi/halo.h"
#include "graph/layers.h"

extern const rw_op rw_op_delays;

typedef struct {
    int taps; /* K */
    long dilation;
} attributes;

static const attributes *attributes_of(const rw_node *node)
{
    return node->attributes;
}

static long reach_of(const rw_node *node)
{
    return (attributes_of(node)->taps - 1) * attributes_of(node)->dilation;
}

static long delays_memory(const rw_node *node, long length)
{
    (void)length;
    return reach_of(node);
}

/* Rows that step keeps: no token reads further back than the horizon. */
static long kept_rows(const rw_node *node)
{
    long reach = reach_of(node);
    return reach < node->setting.horizon ? reach : node->setting.horizon;
}

static rw_status delays_shape(const rw_node *node, int *out_width)
{
    const attributes *attr = attributes_of(node);
    if (attr->taps < 2 || attr->dilation < 1)
        return rw_fail(RW_USAGE,
                       "a convolution of %d taps, %ld tokens apart, looks at no earlier token; "
                       "set taps to at least 2 and dilation to at least 1",
                       attr->taps, attr->dilation);
    *out_width = attr->taps * node->in_width[0];
    return RW_OK;
}

static rw_status delays_sizes(rw_node *node)
{
    node->size.state = (size_t)kept_rows(node) * (size_t)node->in_width[0];
    return RW_OK;
}

/* ---- Halos --------------------------------------------------------------------- */

/* Forward has a single halo, of the longest delay; backward has a halo for each delay. */
static rw_halo halo_of(const rw_node *node, const rw_span *span, bool mirrored, int tap)
{
    return (rw_halo){.span = span,
                     .side = mirrored ? RW_HALO_AFTER : RW_HALO_BEFORE,
                     .reach = tap * attributes_of(node)->dilation,
                     .width = node->in_width[0]};
}

static int first_tap(const rw_node *node, bool mirrored)
{
    return mirrored ? 1 : attributes_of(node)->taps - 1;
}

/* Workspace: of each exchange, tap upwards | rows of each halo. */
static size_t exchange_reals(const rw_node *node, const rw_span *span, bool mirrored)
{
    size_t reals = 0;
    if (span->layout->sp == 1) return 0;
    for (int k = first_tap(node, mirrored); k < attributes_of(node)->taps; k++) {
        rw_halo halo = halo_of(node, span, mirrored, k);
        reals += rw_halo_workspace(&halo);
    }
    return reals;
}

/* Rows of the halos of the taps before `tap`, all sequences. */
static size_t rows_before(const rw_node *node, const rw_span *span, bool mirrored, int tap)
{
    long steps = mirrored ? (long)tap * (tap - 1) / 2 : 0;
    return (size_t)(span->most * steps * attributes_of(node)->dilation) * (size_t)node->in_width[0];
}

static size_t delays_workspace(const rw_node *node, const rw_span *span)
{
    const int taps = attributes_of(node)->taps;
    if (span->layout->sp == 1) return 0;
    size_t forward = exchange_reals(node, span, false) +
                     (size_t)(span->most * reach_of(node)) * (size_t)node->in_width[0];
    size_t backward = exchange_reals(node, span, true) + rows_before(node, span, true, taps);
    return forward > backward ? forward : backward;
}

static real *halo_rows(const rw_global *g, bool mirrored, int tap)
{
    return g->workspace + exchange_reals(g->node, &g->span, mirrored) +
           rows_before(g->node, &g->span, mirrored, tap);
}

static void start(const rw_global *g, bool mirrored)
{
    const int width = g->node->in_width[0];
    real *workspace = g->workspace;
    if (g->span.layout->sp == 1) return;
    for (int k = first_tap(g->node, mirrored); k < attributes_of(g->node)->taps; k++) {
        rw_halo halo = halo_of(g->node, &g->span, mirrored, k);
        if (mirrored)
            rw_halo_start(&halo, g->dout + k * width, g->dout_ld, workspace);
        else
            rw_halo_start(&halo, g->in[0], g->in_ld[0], workspace);
        workspace += rw_halo_workspace(&halo);
    }
}

static void finish(const rw_global *g, bool mirrored)
{
    real *workspace = g->workspace;
    if (g->span.layout->sp == 1) return;
    for (int k = first_tap(g->node, mirrored); k < attributes_of(g->node)->taps; k++) {
        rw_halo halo = halo_of(g->node, &g->span, mirrored, k);
        rw_halo_finish(&halo, halo_rows(g, mirrored, k), workspace);
        workspace += rw_halo_workspace(&halo);
    }
}

/* ---- Rows ----------------------------------------------------------------------- */

/* Does a document begin at token t of sequence b? */
static bool begins(const rw_global *g, long b, long t)
{
    return t == 0 || (g->starts && g->starts[b * g->span.length + t]);
}

/* How many tokens back (forth) from t belong to its document; counts to `reach`. */
static long tokens_back(const rw_global *g, long b, long t, long reach)
{
    const long most = t < reach ? t : reach;
    if (!g->starts) return most;
    const uint8_t *at = g->starts + b * g->span.length + t;
    const uint8_t *first = memrchr(at - most + 1, 1, (size_t)most);
    return first ? at - first : most;
}

static long tokens_forth(const rw_global *g, long b, long t, long reach)
{
    const long left = g->span.length - 1 - t, most = left < reach ? left : reach;
    if (!g->starts) return most;
    const uint8_t *at = g->starts + b * g->span.length + t;
    const uint8_t *next = memchr(at + 1, 1, (size_t)most);
    return next ? next - at - 1 : most;
}

/* Token t of sequence b, from the rows of this rank or from the halo. */
static const real *earlier(const rw_global *g, const real *halo, long b, long t)
{
    const rw_range rows = g->span.rows;
    const long reach = reach_of(g->node), width = g->node->in_width[0];
    if (t >= rows.begin) return g->in[0] + (b * g->span.stride + t - rows.begin) * g->in_ld[0];
    return halo + (b * reach + t - (rows.begin - reach)) * width;
}

static void forward_rows(const rw_global *g, const real *halo, long b, rw_range rows)
{
    const attributes *attr = attributes_of(g->node);
    const size_t width = (size_t)g->node->in_width[0];
    long back = tokens_back(g, b, rows.begin, reach_of(g->node));
    for (long t = rows.begin; t < rows.end; t++) {
        real *y = g->out + (b * g->span.stride + t - g->span.rows.begin) * g->out_ld;
        if (t > rows.begin) back = begins(g, b, t) ? 0 : back + 1;
        for (int k = 0; k < attr->taps; k++, y += width) {
            long delay = k * attr->dilation;
            if (delay <= back)
                memcpy(y, earlier(g, halo, b, t - delay), width * sizeof *y);
            else
                memset(y, 0, width * sizeof *y);
        }
    }
}

/* The gradient through token t, k delays after its row. */
static const real *later(const rw_global *g, long b, long t, int k)
{
    const rw_range rows = g->span.rows;
    const long width = g->node->in_width[0];
    if (t < rows.end)
        return g->dout + (b * g->span.stride + t - rows.begin) * g->dout_ld + k * width;
    return halo_rows(g, true, k) +
           (b * k * attributes_of(g->node)->dilation + t - rows.end) * width;
}

static void backward_rows(const rw_global *g, const real *unused, long b, rw_range rows)
{
    const attributes *attr = attributes_of(g->node);
    const int width = g->node->in_width[0];
    (void)unused;
    long forth = tokens_forth(g, b, rows.end - 1, reach_of(g->node));
    for (long t = rows.end - 1; t >= rows.begin; t--) {
        real *dx = g->din[0] + (b * g->span.stride + t - g->span.rows.begin) * g->din_ld[0];
        if (t < rows.end - 1) forth = begins(g, b, t + 1) ? 0 : forth + 1;
        if (!g->din_add[0]) memset(dx, 0, (size_t)width * sizeof *dx);
        for (int k = 0; k < attr->taps && k * attr->dilation <= forth; k++) {
            const real *dy = later(g, b, t + k * attr->dilation, k);
            for (int c = 0; c < width; c++) dx[c] += dy[c];
        }
    }
}

/* Rows [begin, end) of all sequences, a chunk at a time. */
static void each_chunk(const rw_global *g, long begin, long end, const real *halo,
                       void (*work)(const rw_global *g, const real *halo, long b, rw_range rows))
{
    const long chunk = g->span.chunk, chunks = (end - begin + chunk - 1) / chunk;
#pragma omp parallel for collapse(2) schedule(static) num_threads(g->span.layout->threads)
    for (long b = 0; b < g->span.sequences; b++)
        for (long c = 0; c < chunks; c++) {
            long first = begin + c * chunk, last = first + chunk;
            work(g, halo, b, (rw_range){first, last < end ? last : end});
        }
}

/* Rows without need of a halo are computed while the halo is in flight. */
static void delays_forward(const rw_global *g)
{
    const rw_range rows = g->span.rows;
    long near = rows.begin + reach_of(g->node), edge = near < rows.end ? near : rows.end;
    const real *halo = halo_rows(g, false, first_tap(g->node, false));
    start(g, false);
    each_chunk(g, edge, rows.end, halo, forward_rows);
    finish(g, false);
    each_chunk(g, rows.begin, edge, halo, forward_rows);
}

static void delays_backward(const rw_global *g)
{
    const rw_range rows = g->span.rows;
    long far = rows.end - reach_of(g->node), edge = far > rows.begin ? far : rows.begin;
    if (!g->din[0]) return;
    start(g, true);
    each_chunk(g, rows.begin, edge, NULL, backward_rows);
    finish(g, true);
    each_chunk(g, edge, rows.end, NULL, backward_rows);
}

/* The state is a ring of the last rows: token t is at t mod kept_rows. */
static void delays_step(const rw_call *call)
{
    const attributes *attr = attributes_of(call->node);
    const size_t width = (size_t)call->node->in_width[0];
    const long kept = kept_rows(call->node);
    memcpy(call->out, call->in[0], width * sizeof(real));
    for (int k = 1; k < attr->taps; k++) {
        const long t = call->at.position - k * attr->dilation;
        real *y = call->out + (size_t)k * width;
        if (t >= 0)
            memcpy(y, call->carry.state + (size_t)(t % kept) * width, width * sizeof *y);
        else
            memset(y, 0, width * sizeof *y);
    }
    memcpy(call->carry.state + (size_t)(call->at.position % kept) * width, call->in[0],
           width * sizeof(real));
}

static void delays_reference(const rw_call *call)
{
    const attributes *attr = attributes_of(call->node);
    const int width = call->node->in_width[0];
    for (long t = 0; t < call->rows; t++)
        for (int k = 0; k < attr->taps; k++)
            for (int c = 0; c < width; c++) {
                const long from = t - k * attr->dilation;
                call->out[t * call->out_ld + k * width + c] =
                    from < 0 ? 0 : call->in[0][from * call->in_ld[0] + c];
            }
}

static double delays_flops(const rw_node *node, int rows)
{
    (void)node, (void)rows;
    return 0;
}

rw_status rw_delays(rw_graph *graph, rw_value x, int taps, long dilation, rw_value *y)
{
    const attributes attr = {.taps = taps, .dilation = dilation};
    return rw_graph_apply(graph, &rw_op_delays, &attr, sizeof attr, &x, 1, NULL, 0, y);
}

/* Reaches over several of the tests' chunks. */
static rw_status delays_sample(rw_graph *graph, rw_value x, rw_value *y)
{
    return rw_delays(graph, x, 4, 5, y);
}

const rw_op rw_op_delays = {
    .name = "delays",
    .doc = "each row beside the rows 1, 2, ... dilations earlier",
    .source = "Bai, Kolter, Koltun 2018, An empirical evaluation of generic convolutional and "
              "recurrent networks for sequence modeling, section 3.2",
    .shape = delays_shape,
    .sizes = delays_sizes,
    .reference = delays_reference,
    .step = delays_step,
    .global = &(const rw_global_carry){.past_rows = delays_memory,
                                       .workspace = delays_workspace,
                                       .forward = delays_forward,
                                       .backward = delays_backward},
    .flops = delays_flops,
    .sample = delays_sample,
};
