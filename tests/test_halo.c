/* Halos: every row of every sequence that a rank asks for, before or after its
 * own, from one rank or from many, on every layout of the ranks that this
 * program is started with; and the bytes that were predicted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>

#include "base/memory.h"
#include "mpi/halo.h"
#include "mpi_testing.h"

enum { SEQUENCES = 5, WIDTH = 3, LD = 5, CHUNK = 4, SPARE = 2 };

/* What stands where no value belongs. */
static const real untouched = (real)-12345.5;

typedef struct {
    rw_span span;
    rw_halo halo;
    long first; /* of this rank's sequences */
    real *x, *workspace, *out;
} exchange;

static real *new_reals(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "a test", &out), RW_OK);
    for (size_t i = 0; i < count; i++) out[i] = untouched;
    return out;
}

/* The value of column c of token t of sequence b: no two are equal. */
static real value_at(long b, long t, int c)
{
    return (real)((b * 1000 + t) * WIDTH + c + 1);
}

static void fill(const exchange *e)
{
    const rw_span *span = &e->span;
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < rw_span_count(span); r++)
            for (int c = 0; c < WIDTH; c++)
                e->x[(b * span->stride + r) * LD + c] =
                    value_at(e->first + b, span->rows.begin + r, c);
}

static void open_exchange(const rw_layout *layout, long length, long reach, rw_halo_side side,
                          exchange *e)
{
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    e->first = own.begin;
    e->span = (rw_span){.layout = layout,
                        .sequences = own.end - own.begin,
                        .most = own.end - own.begin + SPARE,
                        .length = length,
                        .chunk = CHUNK};
    e->span.rows = rw_span_rows(&e->span, layout->sp_rank);
    e->span.stride = rw_span_count(&e->span) + SPARE;
    e->halo = (rw_halo){&e->span, side, reach, WIDTH};
    e->x = new_reals((size_t)(e->span.sequences * e->span.stride) * LD);
    e->workspace = new_reals(rw_halo_workspace(&e->halo));
    e->out = new_reals((size_t)(e->span.sequences * reach * WIDTH) + SPARE);
    fill(e);
}

static void close_exchange(exchange *e)
{
    rw_free(&e->x);
    rw_free(&e->workspace);
    rw_free(&e->out);
}

static bool is_the_halo(const exchange *e)
{
    const long reach = e->halo.reach, length = e->span.length;
    const real *got = e->out;
    long begin = e->halo.side == RW_HALO_AFTER ? e->span.rows.end : e->span.rows.begin - reach;
    for (long b = e->first; b < e->first + e->span.sequences; b++)
        for (long t = begin; t < begin + reach; t++)
            for (int c = 0; c < WIDTH; c++, got++)
                if (*got != (t >= 0 && t < length ? value_at(b, t, c) : 0)) return false;
    return got[0] == untouched && got[1] == untouched;
}

/* Both halos in flight at once; x is overwritten as soon as they have started. */
static void check_exchange(const rw_layout *layout, long length, long reach)
{
    const char *const where[] = {"before", "after"};
    exchange both[2];
    double bytes = rw_comm_count.bytes, predicted = 0;
    for (int side = 0; side < 2; side++) {
        exchange *e = &both[side];
        open_exchange(layout, length, reach, (rw_halo_side)side, e);
        predicted += rw_halo_bytes(&e->halo, layout->sp_rank);
        rw_halo_start(&e->halo, e->x, LD, e->workspace);
        for (long i = 0; i < e->span.sequences * e->span.stride * LD; i++) e->x[i] = untouched;
    }
    for (int side = 1; side >= 0; side--) {
        exchange *e = &both[side];
        rw_halo_finish(&e->halo, e->out, e->workspace);
        mpi_test_all(is_the_halo(e), "%ld rows %s, length %ld, sp %d", reach, where[side], length,
                     layout->sp);
        close_exchange(e);
    }
    mpi_test_all(rw_comm_count.bytes - bytes == predicted, "bytes of %ld rows, length %ld, sp %d",
                 reach, length, layout->sp);
}

static void check_lengths(const rw_layout *layout)
{
    const long lengths[] = {1, CHUNK, 2 * CHUNK + 1, 7 * CHUNK - 1, 9 * CHUNK};
    const long reaches[] = {1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 2, 8 * CHUNK, 50 * CHUNK};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t k = 0; k < sizeof reaches / sizeof *reaches; k++)
            check_exchange(layout, lengths[i], reaches[k]);
}

static void on_every_layout(void (*check)(const rw_layout *layout))
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int dp = 1; dp <= size; dp++) {
        rw_layout layout;
        if (size % dp) continue;
        assert_int_equal(rw_layout_new(dp, size / dp, 1, &layout), RW_OK);
        check(&layout);
        rw_layout_free(&layout);
    }
}

static void test_halos(void **unused)
{
    (void)unused;
    size_t before = rw_memory_in_use();
    on_every_layout(check_lengths);
    assert_int_equal(rw_memory_in_use(), before);
}

/* Where each rank holds enough rows, one neighbour sends what is written in the header. */
static void check_one_hop(const rw_layout *layout)
{
    const long reach = CHUNK, sequences = 3;
    for (int side = 0; side < 2; side++) {
        rw_span span = {.layout = layout,
                        .sequences = sequences,
                        .most = sequences,
                        .length = (long)layout->sp * CHUNK,
                        .chunk = CHUNK};
        rw_halo halo = {&span, (rw_halo_side)side, reach, WIDTH};
        int silent = side == RW_HALO_AFTER ? 0 : layout->sp - 1;
        for (int rank = 0; rank < layout->sp; rank++) {
            double reals = rank == silent ? 0 : (double)(sequences * reach * WIDTH);
            mpi_test_all(rw_halo_bytes(&halo, rank) == reals * (double)sizeof(real),
                         "rank %d of sp %d", rank, layout->sp);
        }
    }
}

static void test_volume_of_one_hop(void **unused)
{
    (void)unused;
    on_every_layout(check_one_hop);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halos),
        cmocka_unit_test(test_volume_of_one_hop),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("halo", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
