/* The exchanges among the ranks that share sequences: rows and slabs, rows by
 * key. Every value is known from its place, so that each rank can tell whether
 * it got the right ones; and each sends the bytes that were predicted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>

#include "base/memory.h"
#include "mpi/slab_exchange.h"
#include "mpi/row_exchange.h"
#include "mpi_testing.h"

enum { SEQUENCES = 3, PADDING = 5 };

static const real untouched = (real)-4321.5;

/* Lengths and chunks: shares that are even, and that nothing divides. */
static const struct {
    long length;
    int chunk;
} sizes[] = {{64, 4}, {53, 4}, {7, 1}, {129, 8}, {4, 1}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static rw_span span_of(const rw_layout *layout, int size)
{
    rw_span span = {.layout = layout,
                    .sequences = SEQUENCES,
                    .most = SEQUENCES + 1,
                    .length = sizes[size].length,
                    .chunk = sizes[size].chunk};
    span.rows = rw_span_rows(&span, layout->sp_rank);
    span.stride = rw_span_count(&span) + 2;
    return span;
}

static real *new_reals(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "a test", &out), RW_OK);
    for (size_t i = 0; i < count; i++) out[i] = untouched;
    return out;
}

static real value_at(long sequence, long row, long column)
{
    return (real)((sequence * 200 + row) * 64 + column);
}

static void fill_rows(const rw_span *span, int width, int ld, real *rows)
{
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < rw_span_count(span); r++)
            for (int d = 0; d < width; d++)
                rows[(b * span->stride + r) * ld + d] = value_at(b, span->rows.begin + r, d);
}

/* Do the rows hold `factor` times their values, and nothing beside them? */
static bool holds_rows(const rw_span *span, int width, int ld, const real *rows, real factor)
{
    bool good = true;
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < span->stride; r++)
            for (int d = 0; d < ld; d++) {
                bool inside = r < rw_span_count(span) && d < width;
                real wanted = factor * value_at(b, span->rows.begin + r, d);
                good &= rows[(b * span->stride + r) * ld + d] == (inside ? wanted : untouched);
            }
    return good;
}

static void on_each_span(void (*check)(const rw_span *span))
{
    rw_layout layout;
    assert_int_equal(rw_layout_new(1, 0, 2, &layout), RW_OK);
    for (int i = 0; i < SIZES; i++) {
        rw_span span = span_of(&layout, i);
        if ((span.length + span.chunk - 1) / span.chunk >= layout.sp) check(&span);
    }
    rw_layout_free(&layout);
}

/* ---- Slabs ------------------------------------------------------------------- */

static bool holds_slabs(const rw_span *span, int slabs, int width, const real *whole)
{
    rw_range own = rw_slabs_own(span, slabs);
    bool good = true;
    for (long b = 0; b < span->sequences; b++)
        for (long l = own.begin; l < own.end; l++)
            for (long r = 0; r < span->length; r++)
                for (int i = 0; i < width; i++) good &= *whole++ == value_at(b, r, l * width + i);
    return good;
}

static void check_slabs(const rw_span *span, int slabs, int width)
{
    int columns = slabs * width, ld = columns + PADDING;
    size_t reals = (size_t)(span->sequences * span->stride * ld);
    real *rows = new_reals(reals), *back = new_reals(reals);
    real *whole = new_reals(rw_slabs_reals(span, slabs, width));
    real *buffer = new_reals(rw_slabs_buffer(span, slabs, width));
    fill_rows(span, columns, ld, rows);
    double before = rw_comm_count.bytes;
    rw_slabs_gather(span, slabs, width, rows, ld, whole, buffer);
    double gathered = rw_comm_count.bytes - before;
    mpi_test_all(holds_slabs(span, slabs, width, whole), "%d slabs of %d gathered", slabs, width);
    mpi_test_all(gathered == rw_slabs_gather_bytes(span, slabs, width), "bytes of a gather");
    rw_slabs_scatter(span, slabs, width, whole, back, ld, false, buffer);
    double scattered = rw_comm_count.bytes - before - gathered;
    mpi_test_all(holds_rows(span, columns, ld, back, 1), "%d slabs of %d scattered", slabs, width);
    mpi_test_all(scattered == rw_slabs_scatter_bytes(span, slabs, width), "bytes of a scatter");
    rw_slabs_scatter(span, slabs, width, whole, back, ld, true, buffer);
    mpi_test_all(holds_rows(span, columns, ld, back, 2), "%d slabs of %d added", slabs, width);
    rw_free(&rows);
    rw_free(&back);
    rw_free(&whole);
    rw_free(&buffer);
}

static void check_all_slabs(const rw_span *span)
{
    check_slabs(span, 8, 3);
    check_slabs(span, 5, 4);
    check_slabs(span, 1, 7); /* fewer slabs than ranks */
}

static void test_slabs(void **unused)
{
    (void)unused;
    on_each_span(check_all_slabs);
}

/* Even shares: S L D (P-1) / P^2 elements. */
static void test_lanes_volume(void **unused)
{
    (void)unused;
    rw_layout layout;
    assert_int_equal(rw_layout_new(1, 0, 1, &layout), RW_OK);
    int sp = layout.sp;
    rw_span span = {.layout = &layout, .sequences = 2, .most = 2, .length = 96L * sp, .chunk = 8};
    span.rows = rw_span_rows(&span, layout.sp_rank);
    double wanted = 2.0 * 96 * sp * (12 * sp) * (sp - 1) / (sp * sp) * sizeof(real);
    mpi_test_all(rw_slabs_gather_bytes(&span, 4 * sp, 3) == wanted, "volume of a gather");
    mpi_test_all(rw_slabs_scatter_bytes(&span, 4 * sp, 3) == wanted, "volume of a scatter");
    rw_layout_free(&layout);
}

/* ---- Keys -------------------------------------------------------------------- */

/* A permutation of the rows: a step that shares no factor with the length. */
static long key_of(const rw_span *span, long b, long r)
{
    long step = span->length % 3 ? 3 : 2;
    return b == 0 ? span->length - 1 - r : (r * step + b) % span->length;
}

static bool holds_moved(const rw_span *span, int width, const real *to)
{
    bool good = true;
    for (long b = 0; b < span->sequences; b++)
        for (long from = 0; from < span->length; from++) {
            long r = key_of(span, b, from) - span->rows.begin;
            if (r < 0 || r >= rw_span_count(span)) continue;
            for (int d = 0; d < width; d++)
                good &= to[(b * span->stride + r) * width + d] == value_at(b, from, d);
        }
    return good;
}

static void check_keys(const rw_span *span)
{
    const int width = 6, ld = width + PADDING;
    size_t rows = (size_t)(span->sequences * span->stride);
    int64_t *keys;
    assert_int_equal(rw_alloc(rows, sizeof *keys, "a test", &keys), RW_OK);
    real *from = new_reals(rows * (size_t)ld), *to = new_reals(rows * (size_t)width);
    real *buffer = new_reals(rw_rows_buffer(span, width));
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < rw_span_count(span); r++)
            keys[b * span->stride + r] = key_of(span, b, span->rows.begin + r);
    fill_rows(span, width, ld, from);
    double before = rw_comm_count.bytes;
    rw_rows_exchange(span, width, keys, from, ld, to, width, false, buffer);
    mpi_test_all(holds_moved(span, width, to), "rows of %ld moved", span->length);
    mpi_test_all(rw_comm_count.bytes - before == rw_rows_bytes(span, width, keys), "bytes");
    rw_free(&keys);
    rw_free(&from);
    rw_free(&to);
    rw_free(&buffer);
}

static void test_keys(void **unused)
{
    (void)unused;
    on_each_span(check_keys);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slabs),
        cmocka_unit_test(test_lanes_volume),
        cmocka_unit_test(test_keys),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("exchanges", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
