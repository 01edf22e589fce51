/* Scans along the chunk tree, of affine transitions of all kinds and of other monoids, and
 * the shift: against plain loops, and with the same bits on every layout of the
 * ranks that this program is started with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>

#include "chunk_parts.h"
#include "mpi/shift.h"
#include "mpi/tree_scan.h"
#include "mpi_testing.h"

/* ---- Scans ------------------------------------------------------------------- */

/* A kind of affine transition, a slice of it. */
typedef struct {
    const char *name;
    size_t transition, state; /* reals of all slices */
    int slices;
    void (*advance)(const void *context, const real *transition, int level, bool transpose,
                    int begin, int end, const real *x, const real *b, real *y);
    void (*compose)(const void *context, const real *left, const real *right, real *out);
} map_kind;

enum { LANES = 7 };

static void advance_scalar(const void *context, const real *transition, int level, bool transpose,
                           int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) y[i] = x ? transition[i] * x[i] + b[i] : b[i];
}

static void compose_scalar(const void *context, const real *left, const real *right, real *out)
{
    (void)context;
    for (int i = 0; i < LANES; i++) out[i] = right[i] * left[i];
}

/* The same transition in every chunk: nothing to hand around (transition 0). */
static real shared_transition(int slice)
{
    return (real)(1 - 0.05 * (slice + 1));
}

static void advance_shared(const void *context, const real *transition, int level, bool transpose,
                           int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)transition, (void)transpose;
    for (int i = begin; i < end; i++) {
        real power = shared_transition(i);
        for (int k = 0; k < level; k++) power *= power;
        y[i] = x ? power * x[i] + b[i] : b[i];
    }
}

/* 2x2 matrices, one a slice: the order shows, and transposes are others. */
static void advance_matrix(const void *context, const real *transition, int level, bool transpose,
                           int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)level;
    for (int i = begin; i < end; i++) {
        const real *m = transition + 4 * i;
        real y0 = b[2 * i], y1 = b[2 * i + 1];
        if (x) {
            y0 += m[0] * x[2 * i] + m[transpose ? 2 : 1] * x[2 * i + 1];
            y1 += m[transpose ? 1 : 2] * x[2 * i] + m[3] * x[2 * i + 1];
        }
        y[2 * i] = y0;
        y[2 * i + 1] = y1;
    }
}

static void compose_matrix(const void *context, const real *left, const real *right, real *out)
{
    (void)context;
    for (int i = 0; i < LANES; i++) {
        const real *a = right + 4 * i, *b = left + 4 * i;
        real product[4] = {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3],
                           a[2] * b[0] + a[3] * b[2], a[2] * b[1] + a[3] * b[3]};
        memcpy(out + 4 * i, product, sizeof product);
    }
}

/* Monoids that are no affine transitions: advance combines what came before with b. */
static void advance_sum(const void *context, const real *transition, int level, bool transpose,
                        int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)transition, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) y[i] = x ? x[i] + b[i] : b[i];
}

/* Online softmax: (maximum, sum of weights, weighted sum) of a slice. */
static void advance_softmax(const void *context, const real *transition, int level, bool transpose,
                            int begin, int end, const real *x, const real *b, real *y)
{
    (void)context, (void)transition, (void)level, (void)transpose;
    for (int i = begin; i < end; i++) {
        const real *left = x ? x + 3 * i : b + 3 * i, *right = b + 3 * i;
        real top = left[0] > right[0] ? left[0] : right[0];
        real l = x ? (real)exp((double)(left[0] - top)) : 0;
        real r = (real)exp((double)(right[0] - top));
        real sum = l * left[1] + r * right[1], value = l * left[2] + r * right[2];
        y[3 * i] = top;
        y[3 * i + 1] = sum;
        y[3 * i + 2] = value;
    }
}

static const map_kind kinds[] = {
    {"scalars", LANES, LANES, LANES, advance_scalar, compose_scalar},
    {"shared", 0, LANES, LANES, advance_shared, NULL},
    {"sums", 0, LANES, LANES, advance_sum, NULL},
    {"softmax", 0, 3 * LANES, LANES, advance_softmax, NULL},
    {"matrices", 4 * LANES, 2 * LANES, LANES, advance_matrix, compose_matrix},
};

/* Does a document begin in chunk c of sequence b? */
static bool cut_at(long b, long c)
{
    return (3 * b + c) % 5 == 2;
}

static uint8_t *new_cuts(const rw_layout *layout, long chunks)
{
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range local = rw_split(chunks, layout->sp, layout->sp_rank);
    uint8_t *cut, *next;
    assert_int_equal(rw_alloc((size_t)(SEQUENCES * chunks), 1, "cuts", &cut), RW_OK);
    next = cut;
    for (long b = own.begin; b < own.end; b++)
        for (long c = local.begin; c < local.end; c++) *next++ = cut_at(b, c);
    return cut;
}

/* How a scan is run. */
typedef struct {
    bool mirrored, cuts;
    bool ends; /* from a given state, to the state behind the last chunk */
} manner;

/* What a scan must not read is not a number: the part of the chunk behind which
 * there is none, and the transition of the last chunk, which no other state enters. */
static void spoil_unread(const map_kind *kind, long chunks, bool mirrored, real *transition,
                         real *part)
{
    for (size_t b = 0; b < SEQUENCES; b++) {
        size_t first = b * (size_t)chunks, last = first + (size_t)chunks - 1;
        fill_with(part + (mirrored ? first : last) * kind->state, kind->state, (real)NAN);
        fill_with(transition + last * kind->transition, kind->transition, (real)NAN);
    }
}

/* Runs a scan on the layout's part of the data. What it must not write stays
 * untouched. ends: the states at the start of the sequences, replaced by those
 * behind their last chunks. */
static void run_scan(const rw_layout *layout, const map_kind *kind, long chunks, manner how,
                     real *out, real *ends)
{
    uint8_t *cut = how.cuts ? new_cuts(layout, chunks) : NULL;
    size_t all = (size_t)(SEQUENCES * chunks);
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    real *transition = new_reals(all * kind->transition), *part = new_reals(all * kind->state);
    real *own_map = new_reals(all * kind->transition), *own_part = new_reals(all * kind->state);
    rw_scan *scan;
    fill(transition, all * kind->transition, 21);
    fill(part, all * kind->state, 22);
    if (!how.ends) spoil_unread(kind, chunks, how.mirrored, transition, part);
    take_part(layout, chunks, kind->transition, transition, own_map);
    take_part(layout, chunks, kind->state, part, own_part);
    fill_with(out, all * kind->state, untouched);
    assert_int_equal(
        rw_scan_new(layout, 0, own.end - own.begin, chunks, 4 * LANES, 2 * LANES, how.ends, &scan),
        RW_OK);
    rw_affine affine = {.transition = kind->transition,
                        .state = kind->state,
                        .slices = kind->slices,
                        .advance = kind->advance,
                        .compose = kind->compose};
    size_t first = (size_t)own.begin * kind->state, mine = (size_t)own.end * kind->state - first;
    real *final = new_reals(mine);
    rw_scan_ends both = {ends + first, final};
    rw_scan_run(scan, &affine, own.end - own.begin, how.mirrored, cut, how.ends ? &both : NULL,
                own_map, own_part, out);
    MPI_Bcast(final, (int)mine, RW_MPI_REAL, layout->sp - 1, layout->sp_comm);
    if (how.ends) memcpy(ends + first, final, mine * sizeof(real));
    rw_free(&cut), rw_free(&final);
    rw_scan_destroy(&scan);
    rw_free(&transition), rw_free(&part), rw_free(&own_map), rw_free(&own_part);
}

/* The definition, chunk after chunk:  out[c] = A out[before] + part[before];
 * mirrored from the right, with the transpose of the chunk in between. A cut
 * chunk lets nothing through. */
static void plain_scan(const map_kind *kind, long chunks, manner how, real *out, real *ends)
{
    size_t all = (size_t)(SEQUENCES * chunks), n = kind->state;
    real *transition = new_reals(all * kind->transition), *part = new_reals(all * n);
    fill(transition, all * kind->transition, 21);
    fill(part, all * n, 22);
    fill_with(out, all * n, untouched);
    for (long b = 0; b < SEQUENCES; b++)
        for (long i = 1; i < chunks + how.ends; i++) {
            long c = b * chunks + (how.mirrored ? chunks - 1 - i : i);
            long from = how.mirrored ? c + 1 : c - 1;
            real *end = how.ends ? ends + (size_t)b * n : NULL;
            const real *before = i > 1 ? out + (size_t)from * n : end;
            kind->advance(NULL, transition + (size_t)from * kind->transition, 0, how.mirrored, 0,
                          kind->slices, how.cuts && cut_at(b, from - b * chunks) ? NULL : before,
                          part + (size_t)from * n, i < chunks ? out + (size_t)c * n : end);
        }
    rw_free(&transition), rw_free(&part);
}

static bool near(const real *a, const real *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= EPSILON * (1 + fabs((double)b[i]))))
            return false;
    return true;
}

/* Room for the states of all chunks and, behind them, those at the ends. */
static real *new_states(const map_kind *kind, long chunks)
{
    size_t inner = (size_t)(SEQUENCES * chunks) * kind->state, ends = SEQUENCES * kind->state;
    real *out = new_reals(inner + ends);
    fill(out + inner, ends, 23);
    return out;
}

static void check_scan(const rw_layout *layout, const map_kind *kind, long chunks, manner how)
{
    size_t inner = (size_t)(SEQUENCES * chunks) * kind->state,
           all = inner + SEQUENCES * kind->state;
    real *wanted = new_states(kind, chunks), *got = new_states(kind, chunks);
    real *plain = new_states(kind, chunks);
    const char *way = how.ends ? "scan between ends" : how.mirrored ? "suffix" : "prefix";
    rw_layout alone;
    assert_int_equal(rw_layout_alone(layout->threads, &alone), RW_OK);
    run_scan(&alone, kind, chunks, how, wanted, wanted + inner);
    rw_layout_free(&alone);
    plain_scan(kind, chunks, how, plain, plain + inner);
    mpi_test_all(near(wanted, plain, all), "%s of %s over %ld chunks", way, kind->name, chunks);
    run_scan(layout, kind, chunks, how, got, got + inner);
    rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    size_t end = inner + (size_t)own.begin * kind->state;
    size_t mine = (size_t)(own.end - own.begin) * kind->state;
    mpi_test_all(is_part(layout, chunks, kind->state, wanted, got) &&
                     memcmp(got + end, wanted + end, mine * sizeof(real)) == 0,
                 "%s of %s over %ld chunks on %d x %d ranks", way, kind->name, chunks, layout->dp,
                 layout->sp);
    rw_free(&wanted), rw_free(&got), rw_free(&plain);
}

static void check_scans(const rw_layout *layout)
{
    const manner manners[] = {{0},
                              {.mirrored = true},
                              {.cuts = true},
                              {.mirrored = true, .cuts = true},
                              {.ends = true},
                              {.cuts = true, .ends = true}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (long chunks = layout->sp; chunks <= MOST_CHUNKS; chunks++)
            for (size_t i = 0; i < sizeof manners / sizeof *manners; i++)
                check_scan(layout, &kinds[k], chunks, manners[i]);
}

static void test_scans(void **unused)
{
    (void)unused;
    on_every_layout(check_scans);
}

/* ---- Shift ------------------------------------------------------------------- */

static void check_shift(const rw_layout *layout)
{
    enum { STATE = 3 };
    for (long chunks = layout->sp; chunks <= MOST_CHUNKS; chunks++)
        for (int mirrored = 0; mirrored < 2; mirrored++) {
            size_t all = (size_t)(SEQUENCES * chunks) * STATE;
            rw_range own = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
            rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
            real *value = new_reals(all), *wanted = new_reals(all), *part = new_reals(all);
            real *got = new_reals(all), *buffer = new_reals(2 * SEQUENCES * STATE);
            fill(value, all, 31);
            fill_with(wanted, all, untouched);
            fill_with(got, all, untouched);
            for (long i = 0; i < SEQUENCES * chunks; i++) {
                long from = mirrored ? i + 1 : i - 1;
                if (i % chunks == (mirrored ? chunks - 1 : 0)) continue;
                memcpy(wanted + i * STATE, value + from * STATE, STATE * sizeof(real));
            }
            take_part(layout, chunks, STATE, value, part);
            rw_shift_run(layout, own.end - own.begin, c.end - c.begin, STATE, mirrored, part, got,
                         buffer);
            mpi_test_all(is_part(layout, chunks, STATE, wanted, got), "shift over %ld chunks%s",
                         chunks, mirrored ? ", mirrored" : "");
            rw_free(&value), rw_free(&wanted), rw_free(&part), rw_free(&got), rw_free(&buffer);
        }
}

static void test_shift(void **unused)
{
    (void)unused;
    on_every_layout(check_shift);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scans),
        cmocka_unit_test(test_shift),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("scans", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
