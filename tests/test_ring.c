/* The ring: each rank sees what it needs of each block, the nearest first, and the
 * ranks send no more than that. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>
#include <string.h>

#include "base/memory.h"
#include "mpi/ring.h"
#include "mpi_testing.h"

enum { WIDTH = 3, MOST_RANKS = 8, UNIT = 7 };

/* Ranges of unequal ranks: rank r has UNIT (r % 3 + 1) rows. */
static void set_rows(int ranks, rw_range *rows)
{
    for (long r = 0, at = 0; r < ranks; r++) {
        rows[r] = (rw_range){at, at + UNIT * (r % 3 + 1)};
        at = rows[r].end;
    }
}

/* Each rank needs `reach` rows beyond its own on the side that blocks come from. */
static void set_need(int ranks, const rw_range *rows, bool upward, long reach, rw_range *need)
{
    for (int r = 0; r < ranks; r++) {
        long begin = rows[r].begin - reach, end = rows[r].end + reach, last = rows[ranks - 1].end;
        need[r] = upward ? (rw_range){begin > 0 ? begin : 0, rows[r].end}
                         : (rw_range){rows[r].begin, end < last ? end : last};
    }
}

static real value(long row, int column)
{
    return (real)(row * 10 + column);
}

typedef struct {
    const rw_ring *ring;
    rw_range seen; /* so far: grows from the rank's own rows on */
    bool good;
} visitor;

static void visit(void *context, rw_range rows, const real *block)
{
    visitor *v = context;
    const bool first = v->seen.begin == v->seen.end, upward = v->ring->upward;
    if (!first)
        v->good = v->good && (upward ? rows.end == v->seen.begin : rows.begin == v->seen.end);
    if (first) v->seen = rows;
    if (upward)
        v->seen.begin = rows.begin;
    else
        v->seen.end = rows.end;
    for (long r = rows.begin; r < rows.end; r++)
        for (int i = 0; i < WIDTH; i++)
            v->good = v->good && block[(r - rows.begin) * WIDTH + i] == value(r, i);
}

static void check(const rw_layout *layout, bool upward, long reach)
{
    rw_range rows[MOST_RANKS], need[MOST_RANKS];
    real *block[2];
    set_rows(layout->sp, rows);
    set_need(layout->sp, rows, upward, reach, need);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rw_alloc(3 * UNIT * WIDTH, sizeof(real), "a test", &block[i]), RW_OK);
    const rw_range own = rows[layout->sp_rank];
    for (long r = own.begin; r < own.end; r++)
        for (int i = 0; i < WIDTH; i++) block[0][(r - own.begin) * WIDTH + i] = value(r, i);
    const rw_ring ring = {layout, rows, need, WIDTH, upward};
    visitor v = {&ring, {0, 0}, true};
    double before = rw_comm_count.bytes;
    rw_ring_run(&ring, block, visit, &v);
    double sent = (rw_comm_count.bytes - before) / (double)sizeof(real);
    const rw_range wanted = need[layout->sp_rank];
    mpi_test_all(v.good, "values, upward %d, reach %ld", upward, reach);
    mpi_test_all(v.seen.begin == wanted.begin && v.seen.end == wanted.end, "rows, reach %ld",
                 reach);
    mpi_test_all(sent == rw_ring_volume(&ring, layout->sp_rank), "volume, reach %ld", reach);
    rw_free(&block[0]), rw_free(&block[1]);
}

static void test_what_is_seen(void **unused)
{
    const long reaches[] = {0, 1, UNIT - 1, UNIT, 2 * UNIT, 3 * UNIT + 1, 1000};
    int size;
    rw_layout layout;
    (void)unused;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    assert_int_equal(rw_layout_new(1, size, 1, &layout), RW_OK);
    for (size_t i = 0; i < sizeof reaches / sizeof *reaches; i++) {
        check(&layout, true, reaches[i]);
        check(&layout, false, reaches[i]);
    }
    rw_layout_free(&layout);
}

/* Of equal ranks: all before (rank + 1) R; of a halo its rows, from all but the last. */
static void test_volumes(void **unused)
{
    enum { RANKS = 4, ROWS = 10 };
    rw_layout layout = {.sp = RANKS};
    rw_range rows[RANKS], need[RANKS];
    (void)unused;
    for (long r = 0; r < RANKS; r++) rows[r] = (rw_range){r * ROWS, (r + 1) * ROWS};
    for (int r = 0; r < RANKS; r++) {
        rw_ring ring = {&layout, rows, need, WIDTH, true};
        set_need(RANKS, rows, true, 1000, need);
        double wanted = r + 1 < RANKS ? (r + 1) * ROWS * WIDTH : 0;
        assert_true(rw_ring_volume(&ring, r) == wanted);
        set_need(RANKS, rows, true, 4, need);
        assert_true(rw_ring_volume(&ring, r) == (r + 1 < RANKS ? 4 * WIDTH : 0));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_seen),
        cmocka_unit_test(test_volumes),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("ring", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
