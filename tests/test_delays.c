/* The rows that a dilated convolution looks at, over as many ranks as hold them,
 * with documents and without: against plain loops over whole sequences, and the
 * bytes that the op says it sends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "mpi_testing.h"
#include "graph/layers.h"

enum { SEQUENCES = 5, WIDTH = 3, CHUNK = 4, SPARE = 2, MOST_TAPS = 4 };

typedef struct {
    long length;
    int taps;
    long dilation;
    bool documents, add;
} setting;

/* Whole sequences, the same on every rank: x and dx (.., WIDTH), y and dy (.., taps WIDTH). */
typedef struct {
    real *x, *y, *dy, *dx;
    uint8_t *starts;
} whole;

static void *allocate(size_t count, size_t size)
{
    void *out;
    assert_int_equal(rw_alloc(count, size, "a test", &out), RW_OK);
    return out;
}

/* What dx holds before the gradient is written or added. */
static real earlier_gradient(long i)
{
    return (real)(i % 7) - 3;
}

static void fill(real *out, long count, uint64_t stream)
{
    rw_random random = rw_random_stream(5, RW_RANDOM_TEST, stream);
    for (long i = 0; i < count; i++) out[i] = (real)rw_random_normal(random, (uint64_t)i);
}

static bool same_document(const setting *s, const uint8_t *starts, long from, long to)
{
    for (long t = from + 1; s->documents && t <= to; t++)
        if (starts[t]) return false;
    return true;
}

/* The definition, tap upwards for each row of dx: the bits are those of the op. */
static void compute(const setting *s, long b, whole *w)
{
    const long first = b * s->length, columns = s->taps * WIDTH;
    const uint8_t *starts = w->starts + first;
    for (long i = first * WIDTH; i < (first + s->length) * WIDTH; i++)
        w->dx[i] = s->add ? earlier_gradient(i) : 0;
    for (int k = 0; k < s->taps; k++)
        for (long t = k * s->dilation; t < s->length; t++) {
            long from = t - k * s->dilation;
            if (!same_document(s, starts, from, t)) continue;
            for (int c = 0; c < WIDTH; c++) {
                long at = (first + t) * columns + k * WIDTH + c;
                w->y[at] = w->x[(first + from) * WIDTH + c];
                w->dx[(first + from) * WIDTH + c] += w->dy[at];
            }
        }
}

static void open_whole(const setting *s, whole *w)
{
    const long tokens = SEQUENCES * s->length, columns = s->taps * WIDTH;
    rw_random random = rw_random_stream(5, RW_RANDOM_TEST, 3);
    w->x = allocate((size_t)(tokens * WIDTH), sizeof(real));
    w->dx = allocate((size_t)(tokens * WIDTH), sizeof(real));
    w->y = allocate((size_t)(tokens * columns), sizeof(real));
    w->dy = allocate((size_t)(tokens * columns), sizeof(real));
    w->starts = allocate((size_t)tokens, 1);
    fill(w->x, tokens * WIDTH, 1);
    fill(w->dy, tokens * columns, 2);
    for (long t = 0; t < tokens; t++)
        w->starts[t] = t % s->length == 0 || rw_random_below(random, (uint64_t)t, 6) == 0;
    for (long b = 0; b < SEQUENCES; b++) compute(s, b, w);
}

static void close_whole(whole *w)
{
    rw_free(&w->x);
    rw_free(&w->dx);
    rw_free(&w->y);
    rw_free(&w->dy);
    rw_free(&w->starts);
}

static rw_span span_of(const rw_layout *layout, long length)
{
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_span span = {.layout = layout,
                    .sequences = own.end - own.begin,
                    .most = own.end - own.begin,
                    .length = length,
                    .chunk = CHUNK};
    span.rows = rw_span_rows(&span, layout->sp_rank);
    span.stride = rw_span_count(&span) + SPARE;
    return span;
}

/* Whether this rank's rows, as they stand in `own`, are those of `all`; or puts them there. */
static bool rows_are(const rw_span *span, int columns, real *all, real *own, bool put)
{
    long first = rw_split(SEQUENCES, span->layout->dp, span->layout->dp_rank).begin;
    size_t bytes = (size_t)(rw_span_count(span) * columns) * sizeof(real);
    bool same = true;
    for (long b = 0; b < span->sequences; b++) {
        real *from = all + ((first + b) * span->length + span->rows.begin) * columns;
        real *to = own + b * span->stride * columns;
        if (put) memcpy(to, from, bytes);
        if (memcmp(to, from, bytes)) same = false;
    }
    return same;
}

static real *new_rows(const rw_span *span, int columns)
{
    return allocate((size_t)(span->sequences * span->stride * columns), sizeof(real));
}

/* S (K-1) d w reals forward and S K (K-1) / 2 d w back, where each rank holds all
 * that its neighbour's halo needs. */
static double bytes_of(const setting *s, const rw_layout *layout)
{
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    double unit = (double)((own.end - own.begin) * s->dilation * WIDTH) * (double)sizeof(real);
    bool last = layout->sp_rank == layout->sp - 1, first = layout->sp_rank == 0;
    return (last ? 0 : (s->taps - 1) * unit) + (first ? 0 : s->taps * (s->taps - 1) / 2. * unit);
}

static void run_op(const setting *s, rw_global *g, whole *w)
{
    const int columns = s->taps * WIDTH;
    long first = rw_split(SEQUENCES, g->span.layout->dp, g->span.layout->dp_rank).begin;
    g->starts = s->documents ? w->starts + first * s->length : NULL;
    real *x = new_rows(&g->span, WIDTH), *dy = new_rows(&g->span, columns);
    rows_are(&g->span, WIDTH, w->x, x, true);
    rows_are(&g->span, columns, w->dy, dy, true);
    g->in[0] = x;
    g->dout = dy;
    g->in_ld[0] = g->din_ld[0] = WIDTH;
    g->out_ld = g->dout_ld = columns;
    g->din_add[0] = s->add;
    for (long b = 0; b < g->span.sequences; b++)
        for (long i = 0; i < rw_span_count(&g->span) * WIDTH; i++)
            g->din[0][b * g->span.stride * WIDTH + i] =
                earlier_gradient(((first + b) * s->length + g->span.rows.begin) * WIDTH + i);
    g->node->op->global->forward(g);
    g->node->op->global->backward(g);
    rw_free(&x);
    rw_free(&dy);
}

static void check_setting(const rw_layout *layout, const setting *s)
{
    rw_graph *graph;
    rw_value x, y;
    whole w;
    assert_int_equal(rw_graph_new(&graph), RW_OK);
    assert_int_equal(rw_features(graph, WIDTH, &x), RW_OK);
    assert_int_equal(rw_delays(graph, x, s->taps, s->dilation, &y), RW_OK);
    open_whole(s, &w);
    rw_global g = {.node = rw_graph_node(graph, 1), .span = span_of(layout, s->length)};
    g.out = new_rows(&g.span, s->taps * WIDTH);
    g.din[0] = new_rows(&g.span, WIDTH);
    g.workspace = allocate(g.node->op->global->workspace(g.node, &g.span), sizeof(real));
    double bytes = rw_comm_count.bytes;
    run_op(s, &g, &w);
    bytes = rw_comm_count.bytes - bytes;
    mpi_test_all(rows_are(&g.span, s->taps * WIDTH, w.y, g.out, false),
                 "y, dilation %ld, length %ld, sp %d", s->dilation, s->length, layout->sp);
    mpi_test_all(rows_are(&g.span, WIDTH, w.dx, g.din[0], false),
                 "dx, dilation %ld, length %ld, sp %d", s->dilation, s->length, layout->sp);
    bool one_hop = s->length / layout->sp - CHUNK >= (s->taps - 1) * s->dilation;
    mpi_test_all(!one_hop || bytes == bytes_of(s, layout), "%g bytes, not %g", bytes,
                 bytes_of(s, layout));
    rw_free(&g.out);
    rw_free(&g.din[0]);
    rw_free(&g.workspace);
    close_whole(&w);
    rw_graph_destroy(&graph);
}

static void check_layout(const rw_layout *layout)
{
    const long lengths[] = {6, 7 * CHUNK - 1, 33 * CHUNK}, dilations[] = {1, 2, 5, 11, 60};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 5; k++)
            for (int form = 0; form < 4; form++) {
                int taps = 2 + (i + k) % (MOST_TAPS - 1);
                setting s = {lengths[i], taps, dilations[k], form & 1, form & 2};
                check_setting(layout, &s);
            }
}

static void test_every_layout(void **unused)
{
    (void)unused;
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int dp = 1; dp <= size; dp++)
        for (int threads = 1; threads <= 2 && size % dp == 0; threads++) {
            rw_layout layout;
            assert_int_equal(rw_layout_new(dp, size / dp, threads, &layout), RW_OK);
            check_layout(&layout);
            rw_layout_free(&layout);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_layout)};
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("delays", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
