/* The convolution of whole documents: against plain sums, and in parts against
 * the whole, bit for bit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/long_fft.h"

#ifdef RW_DOUBLE
#define TOLERANCE 1e-13
#else
#define TOLERANCE 2e-6
#endif

enum { LD = RW_CONV_GROUP + 3, LONGEST = 20000 };

typedef struct {
    long rows, n;
    int channels;
    real *table, *spectrum, *points;
    real *h, *x, *y; /* (rows, LD) */
} bench;

static real *numbers(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "test numbers", &out), RW_OK);
    return out;
}

static void fill(real *x, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) x[i] = (real)rw_random_normal(random, i);
}

static bench make(long rows, int channels)
{
    bench b = {.rows = rows, .n = rw_long_points(rows), .channels = channels};
    size_t reals = (size_t)(rows * LD);
    b.table = numbers(rw_long_table_reals(b.n));
    for (int part = 0; part < 3; part++) rw_long_table_fill(b.n, part, 3, b.table);
    b.spectrum = numbers(rw_long_group_reals(b.n));
    b.points = numbers(rw_long_group_reals(b.n));
    b.h = numbers(reals);
    b.x = numbers(reals);
    b.y = numbers(reals);
    fill(b.h, reals, 1);
    fill(b.x, reals, 2);
    fill(b.y, reals, 3);
    return b;
}

static void release(bench *b)
{
    rw_free(&b->table);
    rw_free(&b->spectrum);
    rw_free(&b->points);
    rw_free(&b->h);
    rw_free(&b->x);
    rw_free(&b->y);
}

static rw_long_rows rows_of(const bench *b, const real *at)
{
    return (rw_long_rows){b->rows, b->channels, at, LD};
}

static void convolve(bench *b, bool conj, bool add)
{
    rw_long_rows h = rows_of(b, b->h), x = rows_of(b, b->x);
    rw_long_transform(b->n, b->table, &h, b->spectrum);
    (conj ? rw_long_correlate
          : rw_long_convolve)(b->n, b->table, b->spectrum, &x,
                              (rw_long_out){b->rows, b->channels, b->y, LD, add}, b->points);
}

static double at(const real *x, long t, int d)
{
    return (double)x[t * LD + d];
}

static double norm(const bench *b, const real *x, int d)
{
    double sum = 0;
    for (long t = 0; t < b->rows; t++) sum += at(x, t, d) * at(x, t, d);
    return sqrt(sum);
}

/* sum_{s<=t} h[t-s] x[s], or the correlation sum_{s>=t} x[s-t] h[s]. */
static double plain(const bench *b, bool conj, long t, int d)
{
    double sum = 0;
    for (long s = conj ? t : 0; s < (conj ? b->rows : t + 1); s++)
        sum += conj ? at(b->x, s - t, d) * at(b->h, s, d) : at(b->h, t - s, d) * at(b->x, s, d);
    return sum;
}

/* Every row of short documents, every 997th of long ones. */
static void check(bench *b, bool conj)
{
    convolve(b, conj, false);
    for (int d = 0; d < b->channels; d++) {
        double scale = norm(b, b->h, d) * norm(b, b->x, d);
        for (long t = 0; t<b->rows; t += b->rows> 2000 ? 997 : 1) {
            double wanted = plain(b, conj, t, d), value = at(b->y, t, d);
            if (!(fabs(value - wanted) <= TOLERANCE * scale))
                fail_msg("%ld rows, row %ld, channel %d: %.9g, expected %.9g", b->rows, t, d, value,
                         wanted);
        }
    }
}

static const long lengths[] = {1, 3, 63, 64, 65, 100, 128, 255, 256, 500, 1024, LONGEST};
enum { LENGTHS = sizeof lengths / sizeof *lengths };
static const int widths[] = {1, RW_CONV_GROUP - 1, RW_CONV_GROUP};

static void for_all_shapes(void (*run)(bench *))
{
    for (int i = 0; i < LENGTHS; i++)
        for (int k = 0; k < 3; k++) {
            bench b = make(lengths[i], widths[k]);
            run(&b);
            release(&b);
        }
}

static void check_sums(bench *b)
{
    check(b, false);
    check(b, true);
}

static void equals_sums(void **state)
{
    (void)state;
    for_all_shapes(check_sums);
}

/* Added to what y holds; columns and rows beyond stay as they are; y may be x. */
static void check_output(bench *b)
{
    size_t reals = (size_t)(b->rows * LD);
    real *before = numbers(reals), *x = numbers(reals);
    memcpy(before, b->y, reals * sizeof(real));
    memcpy(x, b->x, reals * sizeof(real));
    convolve(b, false, true);
    real *added = b->y;
    b->y = b->x;
    convolve(b, false, false);
    for (long i = 0; i < (long)reals; i++) {
        bool inside = i % LD < b->channels;
        real sum = inside ? before[i] + b->x[i] : before[i];
        assert_memory_equal(&added[i], &sum, sizeof sum);
        if (!inside) assert_memory_equal(&b->x[i], &x[i], sizeof(real));
    }
    b->y = added;
    rw_free(&before);
    rw_free(&x);
}

static void writes_what_it_says(void **state)
{
    (void)state;
    for_all_shapes(check_output);
}

/* A table serves every shorter transform with the same bits. */
static void check_table(bench *b)
{
    size_t reals = (size_t)(b->rows * LD);
    real *wanted = numbers(reals);
    convolve(b, false, false);
    memcpy(wanted, b->y, reals * sizeof(real));
    rw_free(&b->table);
    b->table = numbers(rw_long_table_reals(4 * b->n));
    rw_long_table_fill(4 * b->n, 0, 1, b->table);
    convolve(b, false, false);
    assert_memory_equal(b->y, wanted, reals * sizeof(real));
    rw_free(&wanted);
}

static void table_serves_shorter(void **state)
{
    (void)state;
    for_all_shapes(check_table);
}

/* ---- Parts ------------------------------------------------------------------ */

/* P callers in turn: their rows, points and what they would send each other. */
typedef struct {
    int p, callers;
    long each;
    real *z, *other; /* (callers, points of a part) */
} parts;

static real *part_of(const parts *s, real *all, int r)
{
    return all + (size_t)r * rw_long_group_reals(s->each);
}

/* The caller that r is paired with in split k, and its block there. */
static int partner(const parts *s, int r, int k)
{
    return r ^ (s->callers >> (k + 1));
}

static long block_at(const parts *s, int r, int k)
{
    return (1L << k) + (r >> (s->p - k));
}

static rw_root signed_root(const real *table, long block, bool upper, double factor)
{
    rw_root w = rw_long_root(table, block);
    real f = (real)(upper ? -factor : factor);
    return (rw_root){w.re * f, w.im * f};
}

static void exchange(parts *s, int k)
{
    for (int r = 0; r < s->callers; r++)
        memcpy(part_of(s, s->other, r), part_of(s, s->z, partner(s, r, k)),
               rw_long_group_reals(s->each) * sizeof(real));
}

static void split_parts(const bench *b, parts *s, const real *rows)
{
    long dense = s->each * RW_CONV_GROUP;
    for (int r = 0; r < s->callers; r++) {
        int q = partner(s, r, 0);
        bool upper = q < r;
        rw_long_widen(signed_root(b->table, 1, upper, 1), s->each, rows + (upper ? q : r) * dense,
                      rows + (upper ? r : q) * dense, part_of(s, s->z, r));
    }
    for (int k = 1; k < s->p; k++) {
        exchange(s, k);
        for (int r = 0; r < s->callers; r++) {
            bool upper = partner(s, r, k) < r;
            real *mine = part_of(s, s->z, r), *other = part_of(s, s->other, r);
            rw_long_split_pair(rw_long_root(b->table, block_at(s, r, k)), s->each,
                               upper ? other : mine, upper ? mine : other);
        }
    }
}

static void join_parts(const bench *b, parts *s, real *rows)
{
    double f = 1 / (double)b->n;
    for (int k = s->p - 1; k > 0; k--) {
        exchange(s, k);
        for (int r = 0; r < s->callers; r++) {
            real *mine = part_of(s, s->z, r), *other = part_of(s, s->other, r);
            bool upper = partner(s, r, k) < r;
            rw_long_join_pair(rw_long_root(b->table, block_at(s, r, k)), s->each,
                              upper ? other : mine, upper ? mine : other);
        }
    }
    real *kept = numbers((size_t)(s->each * RW_CONV_GROUP)), *got = numbers((size_t)s->each * LD);
    for (int r = 0; r < s->callers; r++) {
        int q = partner(s, r, 0);
        bool upper = q < r;
        rw_root plain_root = {(real)f, 0}, turned = signed_root(b->table, 1, false, f);
        rw_long_real_part(upper ? signed_root(b->table, 1, true, f) : plain_root, s->each,
                          part_of(s, s->z, r), kept);
        rw_long_real_part(upper ? turned : plain_root, s->each, part_of(s, s->z, q), got);
        rw_long_unpack(kept, got,
                       (rw_long_out){s->each, b->channels, rows + r * s->each * LD, LD, false});
    }
    rw_free(&kept);
    rw_free(&got);
}

/* h's spectrum by parts, x times it by parts, against y of the whole. */
static void check_parts(bench *b, int p, bool conj)
{
    parts s = {p, 1 << p, b->n >> p, NULL, NULL};
    size_t group = rw_long_group_reals(b->n), reals = (size_t)(b->rows * LD);
    real *dense = numbers((size_t)b->n * RW_CONV_GROUP), *y = numbers(reals);
    s.z = b->points;
    s.other = numbers(group);
    rw_long_rows h = rows_of(b, b->h), x = rows_of(b, b->x);
    convolve(b, conj, false);
    rw_long_pack(&h, dense);
    split_parts(b, &s, dense);
    for (int r = 0; r < s.callers; r++)
        rw_long_part_transform(b->table, p, s.callers + r, s.each, part_of(&s, s.z, r));
    assert_memory_equal(s.z, b->spectrum, group * sizeof(real));
    rw_long_pack(&x, dense);
    split_parts(b, &s, dense);
    for (int r = 0; r < s.callers; r++)
        rw_long_part_multiply(b->table, p, s.callers + r, s.each, conj, part_of(&s, b->spectrum, r),
                              part_of(&s, s.z, r));
    memcpy(y, b->y, reals * sizeof(real));
    join_parts(b, &s, y);
    assert_memory_equal(y, b->y, reals * sizeof(real));
    rw_free(&dense);
    rw_free(&s.other);
    rw_free(&y);
}

static void parts_have_the_bits_of_the_whole(void **state)
{
    (void)state;
    for (long n = 64; n <= 2048; n *= 2)
        for (int p = 1; p <= RW_LONG_STAGES; p++)
            for (int conj = 0; conj <= 1; conj++) {
                bench b = make(n, RW_CONV_GROUP - 1);
                check_parts(&b, p, conj);
                release(&b);
            }
}

/* A channel alone has the bits that it has beside others. */
static void check_alone(bench *b)
{
    bench one = make(b->rows, 1);
    int last = b->channels - 1;
    for (long t = 0; t < b->rows; t++) {
        one.h[t * LD] = b->h[t * LD + last];
        one.x[t * LD] = b->x[t * LD + last];
    }
    convolve(b, true, false);
    convolve(&one, true, false);
    for (long t = 0; t < b->rows; t++)
        assert_memory_equal(&one.y[t * LD], &b->y[t * LD + last], sizeof(real));
    release(&one);
}

static void channel_ignores_neighbours(void **state)
{
    (void)state;
    for_all_shapes(check_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_sums),
        cmocka_unit_test(writes_what_it_says),
        cmocka_unit_test(table_serves_shorter),
        cmocka_unit_test(parts_have_the_bits_of_the_whole),
        cmocka_unit_test(channel_ignores_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
