/* A long convolution gives the same bits however ranks share it: rows for
 * channels, shared transforms, or one rank alone. Also what each sends, and
 * layouts that cannot share transforms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/long_fft.h"
#include "mpi/butterfly.h"
#include "mpi/slab_exchange.h"
#include "mpi_testing.h"
#include "graph/layers.h"
#include "ops/convolution/long_paths.h"

extern const rw_op rw_op_long_convolution;

/* Whole groups of channels, and a width that they do not divide. */
enum { CHUNK = 16, SEQUENCES = 3, MARGIN = 5 };

static real *new_reals(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "a test", &out), RW_OK);
    return out;
}

/* Inputs, output and gradients of all tokens (SEQUENCES, length, ld). */
typedef struct {
    rw_convolve_exchange exchange;
    rw_graph *graph;
    rw_node node;
    long length, before;
    int ld;
    bool adds;     /* to the filter's gradient; else writes it */
    bool in_place; /* gradients lie in the place of the values */
    uint8_t *starts;
    real *u, *h, *dy, *y, *du, *dh;
} problem;
enum { ARRAYS = 6 };

static real **array_of(problem *p, int i)
{
    real **all[ARRAYS] = {&p->u, &p->h, &p->dy, &p->y, &p->du, &p->dh};
    return all[i];
}

/* By global index, so that every rank draws the same. */
static void make(long length, int width, rw_convolve_exchange exchange, problem *p)
{
    rw_value both, y;
    *p = (problem){.exchange = exchange, .length = length, .ld = width + MARGIN, .adds = true};
    size_t reals = (size_t)(SEQUENCES * length * p->ld);
    for (int i = 0; i < ARRAYS; i++) {
        rw_random random = rw_random_stream(3, RW_RANDOM_TEST, (uint64_t)i);
        real *x = *array_of(p, i) = new_reals(reals);
        for (size_t k = 0; k < reals; k++) x[k] = (real)rw_random_normal(random, k);
    }
    assert_int_equal(rw_graph_new(&p->graph), RW_OK);
    assert_int_equal(rw_features(p->graph, 2 * width, &both), RW_OK);
    assert_int_equal(rw_long_convolution(p->graph, rw_columns(both, 0, width),
                                         rw_columns(both, width, width), exchange, &y),
                     RW_OK);
    p->node = *rw_graph_node(p->graph, 1);
}

static void drop(problem *p)
{
    for (int i = 0; i < ARRAYS; i++) rw_free(array_of(p, i));
    rw_free(&p->starts);
    rw_graph_destroy(&p->graph);
}

static rw_span span_of(const problem *p, const rw_layout *layout)
{
    rw_span span = {.layout = layout, .sequences = SEQUENCES, .most = SEQUENCES};
    span.length = p->length;
    span.before = p->before;
    span.chunk = CHUNK;
    span.rows = rw_span_rows(&span, layout->sp_rank);
    span.stride = (rw_span_count(&span) + CHUNK - 1) / CHUNK * CHUNK;
    return span;
}

/* This rank's rows of an array, (SEQUENCES, stride, ld), and back. */
static void move_rows(const problem *p, const rw_span *span, real *whole, real *part, bool back)
{
    size_t reals = (size_t)(rw_span_count(span) * p->ld);
    for (long b = 0; b < SEQUENCES; b++) {
        real *from = whole + (b * p->length + span->rows.begin) * p->ld;
        real *to = part + b * span->stride * p->ld;
        memcpy(back ? from : to, back ? to : from, reals * sizeof(real));
    }
}

/* Forward and backward on this layout. Bytes that this rank sent for both are returned. */
static double run(problem *p, const rw_layout *layout, double *forward_bytes)
{
    rw_span span = span_of(p, layout);
    size_t reals = (size_t)(SEQUENCES * span.stride * p->ld);
    real *part[ARRAYS],
        *workspace = new_reals(rw_op_long_convolution.global->workspace(&p->node, &span));
    for (int i = 0; i < ARRAYS; i++) {
        part[i] = new_reals(reals);
        move_rows(p, &span, *array_of(p, i), part[i], false);
    }
    real *const *din = p->in_place ? part : part + 4;
    rw_global g = {.node = &p->node,
                   .span = span,
                   .starts = p->starts,
                   .in = {part[0], part[1]},
                   .in_ld = {p->ld, p->ld},
                   .out = part[3],
                   .out_ld = p->ld,
                   .workspace = workspace,
                   .dout = part[2],
                   .dout_ld = p->ld,
                   .din = {din[0], din[1]},
                   .din_ld = {p->ld, p->ld},
                   .din_add = {false, p->adds}};
    double before = rw_comm_count.bytes;
    rw_op_long_convolution.global->forward(&g);
    *forward_bytes = rw_comm_count.bytes - before;
    before = rw_comm_count.bytes;
    rw_op_long_convolution.global->backward(&g);
    double backward_bytes = rw_comm_count.bytes - before;
    for (int i = p->in_place ? 2 : 0; i < ARRAYS; i++)
        move_rows(p, &span, *array_of(p, i), p->in_place && i >= 4 ? part[i - 4] : part[i], true);
    for (int i = 0; i < ARRAYS; i++) rw_free(&part[i]);
    rw_free(&workspace);
    return backward_bytes;
}

/* The rows of this rank are those of the whole, margins included. */
static bool same_rows(problem *got, problem *wanted, const rw_layout *layout)
{
    rw_span span = span_of(wanted, layout);
    size_t bytes = (size_t)(rw_span_count(&span) * wanted->ld) * sizeof(real);
    for (int i = 0; i < ARRAYS; i++)
        for (long b = 0; b < SEQUENCES; b++) {
            long at = (b * wanted->length + span.rows.begin) * wanted->ld;
            if (memcmp(*array_of(got, i) + at, *array_of(wanted, i) + at, bytes) != 0) return false;
        }
    return true;
}

static void mark_documents(problem *p)
{
    assert_int_equal(rw_alloc((size_t)(SEQUENCES * p->length), 1, "a test", &p->starts), RW_OK);
    for (long t = 7; t < p->length; t += 1 + t) p->starts[t] = 1;
    p->starts[p->length + p->length / 2] = 1;
}

static void predicted_bytes(const problem *p, const rw_layout *layout, double *forward,
                            double *backward)
{
    rw_span span = span_of(p, layout);
    int width = p->node.out_width, slab = rw_long_slab_width(width);
    if (p->exchange == RW_CONVOLVE_FFT && !p->starts) {
        size_t rows = (size_t)(rw_span_count(&span) * (width / slab) * RW_CONV_GROUP);
        double each = SEQUENCES * rw_butterfly_bytes(layout, rows);
        *forward = 3 * each;
        *backward = 5 * each;
    } else {
        double gather = rw_slabs_gather_bytes(&span, width / slab, slab);
        double scatter = rw_slabs_scatter_bytes(&span, width / slab, slab);
        *forward = 2 * gather + scatter;
        *backward = 3 * gather + 2 * scatter;
    }
}

static void check_path(long length, int width, bool documents, rw_convolve_exchange exchange,
                       const rw_layout *layout, problem *wanted)
{
    problem got;
    double forward, backward, sent_forward, sent_backward;
    make(length, width, exchange, &got);
    got.before = wanted->before;
    got.adds = wanted->adds;
    if (documents) mark_documents(&got);
    rw_span span = span_of(&got, layout);
    bool runs = rw_op_long_convolution.global->fits(&got.node, &span) == RW_OK;
    rw_clear_message();
    if (runs) {
        sent_backward = run(&got, layout, &sent_forward);
        predicted_bytes(&got, layout, &forward, &backward);
        mpi_test_all(same_rows(&got, wanted, layout), "%ld x %d, exchange %d, %d threads", length,
                     width, (int)exchange, layout->threads);
        mpi_test_all(exchange == RW_CONVOLVE_AUTO ||
                         (sent_forward == forward && sent_backward == backward),
                     "%g and %g bytes sent, %g and %g predicted", sent_forward, sent_backward,
                     forward, backward);
    }
    drop(&got);
}

/* Rows of the filter and of its gradient: those from `before` on come first, then
 * zeros. */
static void begin_with_lags(const problem *p, real *rows)
{
    const size_t ld = (size_t)p->ld, before = (size_t)p->before * ld;
    const size_t all = (size_t)p->length * ld;
    for (int b = 0; b < SEQUENCES; b++, rows += all) {
        memmove(rows, rows + before, (all - before) * sizeof(real));
        memset(rows + all - before, 0, before * sizeof(real));
    }
}

/* Rows before the sequence are as if they belonged to it, but the filter begins
 * behind them, and ends with the last row. */
static void check_before(const problem *wanted, const rw_layout *layout)
{
    const int width = wanted->node.out_width;
    const size_t ld = (size_t)wanted->ld, all = (size_t)wanted->length * ld;
    const size_t lags = all - (size_t)wanted->before * ld;
    problem plain;
    double bytes;
    make(wanted->length, width, RW_CONVOLVE_AUTO, &plain);
    if (wanted->starts) mark_documents(&plain);
    plain.before = wanted->before;
    begin_with_lags(&plain, plain.h);
    begin_with_lags(&plain, plain.dh);
    plain.before = 0;
    run(&plain, layout, &bytes);
    assert_memory_equal(wanted->y, plain.y, SEQUENCES * all * sizeof(real));
    assert_memory_equal(wanted->du, plain.du, SEQUENCES * all * sizeof(real));
    for (size_t b = 0; b < SEQUENCES; b++)
        assert_memory_equal(wanted->dh + (b + 1) * all - lags, plain.dh + b * all,
                            lags * sizeof(real));
    drop(&plain);
}

static void check_shape(long length, int width, long before, bool documents)
{
    problem alone;
    rw_layout layout;
    double bytes;
    make(length, width, RW_CONVOLVE_AUTO, &alone);
    alone.before = before;
    if (documents) mark_documents(&alone);
    assert_int_equal(rw_layout_alone(1, &layout), RW_OK);
    run(&alone, &layout, &bytes);
    if (before > 0) check_before(&alone, &layout);
    rw_layout_free(&layout);
    for (int threads = 1; threads <= 2; threads++) {
        assert_int_equal(rw_layout_new(1, 0, threads, &layout), RW_OK);
        for (int e = RW_CONVOLVE_AUTO; e <= RW_CONVOLVE_FFT; e++)
            check_path(length, width, documents, (rw_convolve_exchange)e, &layout, &alone);
        rw_layout_free(&layout);
    }
    drop(&alone);
}

static void same_bits_on_all_paths(void **state)
{
    const long lengths[] = {64, 100, 256, 1024};
    const int widths[] = {3, 24, 5 * RW_CONV_GROUP};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++)
            for (int documents = 0; documents <= 1; documents++)
                check_shape(lengths[i], widths[k], 0, documents);
}

/* The columns beside the values, too. */
static void begin_with_values(problem *p)
{
    const size_t bytes = (size_t)(SEQUENCES * p->length * p->ld) * sizeof(real);
    memcpy(p->du, p->u, bytes);
    memcpy(p->dh, p->h, bytes);
}

/* Values that are written over are gone, and not compared. */
static void check_in_place(long length, bool documents, rw_convolve_exchange exchange,
                           const rw_layout *layout)
{
    problem wanted, got;
    rw_layout alone;
    double bytes;
    make(length, 5 * RW_CONV_GROUP, exchange, &wanted);
    make(length, 5 * RW_CONV_GROUP, exchange, &got);
    wanted.adds = got.adds = false;
    got.in_place = true;
    begin_with_values(&wanted);
    if (documents) mark_documents(&wanted);
    if (documents) mark_documents(&got);
    assert_int_equal(rw_layout_alone(1, &alone), RW_OK);
    run(&wanted, &alone, &bytes);
    rw_layout_free(&alone);
    rw_span span = span_of(&got, layout);
    if (rw_op_long_convolution.global->fits(&got.node, &span) == RW_OK) {
        run(&got, layout, &bytes);
        mpi_test_all(same_rows(&got, &wanted, layout), "%ld in place, exchange %d", length,
                     (int)exchange);
    }
    rw_clear_message();
    drop(&wanted);
    drop(&got);
}

static void gradients_in_the_place_of_values(void **state)
{
    rw_layout layout;
    (void)state;
    assert_int_equal(rw_layout_new(1, 0, 2, &layout), RW_OK);
    for (int e = RW_CONVOLVE_AUTO; e <= RW_CONVOLVE_FFT; e++) {
        check_in_place(256, false, (rw_convolve_exchange)e, &layout);
        check_in_place(1024, true, (rw_convolve_exchange)e, &layout);
    }
    rw_layout_free(&layout);
}

/* Half of the rows stand before the others. */
static void goes_on_from_rows_before(void **state)
{
    (void)state;
    check_shape(8 * CHUNK, 3, 4 * CHUNK, false);
    check_shape(10 * CHUNK, 24, 5 * CHUNK, true);
}

/* Shared transforms need as many ranks and tokens as a power of two. */
static void says_what_does_not_fit(void **state)
{
    (void)state;
    const struct {
        long length;
        int sp;
        bool fits;
    } cases[] = {{128, 1, true},   {100, 1, true},   {128, 2, true},  {128, 8, true},
                 {1024, 16, true}, {128, 3, false},  {100, 2, false}, {32, 2, false},
                 {128, 16, false}, {2048, 32, false}};
    problem p;
    make(64, 8, RW_CONVOLVE_FFT, &p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rw_layout layout = {.sp = cases[i].sp};
        rw_span span = {.layout = &layout, .length = cases[i].length, .chunk = CHUNK};
        rw_clear_message();
        rw_status status = rw_op_long_convolution.global->fits(&p.node, &span);
        assert_int_equal(status, cases[i].fits ? RW_OK : RW_USAGE);
        if (!cases[i].fits) assert_non_null(strstr(rw_message(), "exchange: auto"));
    }
    rw_clear_message();
    drop(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_on_all_paths),
        cmocka_unit_test(gradients_in_the_place_of_values),
        cmocka_unit_test(goes_on_from_rows_before),
        cmocka_unit_test(says_what_does_not_fit),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("long convolution", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
