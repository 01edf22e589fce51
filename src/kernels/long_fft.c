/* The top of the transform passes over memory once for all RW_LONG_STAGES splits: 16 tiles of a few
 * rows, n/16 apart, are brought together in the first-level cache. The same functions pair two
 * tiles here and two callers elsewhere, so the bits are the same: each function is compiled once,
 * not inlined, so that no compiler fuses a product and a sum in only one of the places. */
#include "kernels/long_fft.h"

#include <string.h>

#include "kernels/polynomial_ring.h"

enum {
    TILES = 1 << RW_LONG_STAGES,
    TILE_ROWS = 4,
    MIN_POINTS = 4 * TILES, /* blocks of 4 points are leaves */
};
#define TILE_VECTORS  (TILE_ROWS * VECTORS)
#define COMPILED_ONCE __attribute__((noinline))

typedef struct {
    point points[TILES][TILE_VECTORS];
} tiles;
typedef struct {
    real rows[TILES][TILE_ROWS * RW_CONV_GROUP];
} real_tiles;

long rw_long_points(long rows)
{
    long n = MIN_POINTS;
    while (n < rows) n *= 2;
    return n;
}

size_t rw_long_group_reals(long n)
{
    return (size_t)n * VECTORS * POINT_REALS;
}

/* ---- Factors ------------------------------------------------------------------ */

size_t rw_long_table_reals(long n)
{
    return ROOTS_REALS * (size_t)n / 2;
}

typedef struct {
    double re, im;
} complex_double;

static complex_double times_double(complex_double a, complex_double b)
{
    return (complex_double){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static complex_double root_at(double turns)
{
    return (complex_double){cos(2 * M_PI * turns), sin(2 * M_PI * turns)};
}

static roots powers_of(complex_double w)
{
    complex_double w2 = times_double(w, w), w3 = times_double(w, w2);
    return (roots){(real)w.re, (real)w.im, (real)w2.re, (real)w2.im, (real)w3.re, (real)w3.im};
}

/* The b-th of m blocks of a size is modulo 1/(4 m) + v(b) turns, v(b) = 0.b_0 b_1 ... in binary,
 * for any m. So v(b) is looked up in two steps, bits below and above RUN: one cosine for RUN
 * blocks. */
enum { RUN = 256 };

static double van_der_corput(long b)
{
    double v = 0;
    for (double place = 0.5; b; b /= 2, place /= 2) v += (double)(b % 2) * place;
    return v;
}

void rw_long_table_fill(long n, int part, int parts, real *table)
{
    complex_double low[RUN], high = {0};
    long begin = 1 + (n / 2 - 1) * part / parts, end = 1 + (n / 2 - 1) * (part + 1) / parts;
    for (int b = 0; b < RUN && b < n / 4; b++) low[b] = root_at(van_der_corput(b) / 4);
    for (long block = begin, m = 1; block < end; block++) {
        while (2 * m <= block) m *= 2;
        long b = block - m;
        if (b % RUN == 0 || block == begin)
            high = root_at((1 / (4 * (double)m) + van_der_corput(b / RUN * RUN)) / 4);
        ((roots *)table)[block] = powers_of(times_double(high, low[b % RUN]));
    }
}

rw_root rw_long_root(const real *table, long block)
{
    const roots *w = (const roots *)table + block;
    return (rw_root){w->re2, w->im2};
}

static rw_root negative(rw_root w)
{
    return (rw_root){-w.re, -w.im};
}

/* ---- Splits and joins in two ---------------------------------------------------- */

static inline rw_vector load(const real *x, long vector)
{
    return *(const rw_vector_unaligned *)(x + vector * RW_LANES);
}

static inline void store(real *x, long vector, rw_vector value)
{
    *(rw_vector_unaligned *)(x + vector * RW_LANES) = value;
}

COMPILED_ONCE void rw_long_widen(rw_root w, long rows, const real *a, const real *b, real *points)
{
    point *z = (point *)points;
    for (long i = 0; i < rows * VECTORS; i++) {
        rw_vector second = load(b, i);
        z[i] = (point){load(a, i) + second * w.re, second * w.im};
    }
}

COMPILED_ONCE void rw_long_split_pair(rw_root w, long count, real *a, real *b)
{
    point *first = (point *)a, *second = (point *)b;
    for (long i = 0; i < count * VECTORS; i++) {
        point lower = first[i], upper = times(second[i], w.re, w.im);
        first[i] = plus(lower, upper);
        second[i] = minus(lower, upper);
    }
}

COMPILED_ONCE void rw_long_join_pair(rw_root w, long count, real *a, real *b)
{
    point *first = (point *)a, *second = (point *)b;
    for (long i = 0; i < count * VECTORS; i++) {
        point lower = first[i], upper = second[i];
        first[i] = plus(lower, upper);
        second[i] = times_conj(minus(lower, upper), w.re, w.im);
    }
}

COMPILED_ONCE void rw_long_real_part(rw_root w, long rows, const real *points, real *out)
{
    const point *z = (const point *)points;
    for (long i = 0; i < rows * VECTORS; i++) store(out, i, z[i].re * w.re + z[i].im * w.im);
}

/* ---- Rows of a group -------------------------------------------------------------- */

void rw_long_pack(const rw_long_rows *x, real *dense)
{
    const real *row = x->at;
    for (long t = 0; t < x->rows; t++, dense += RW_CONV_GROUP, row += x->ld) {
        if (x->channels == RW_CONV_GROUP) { /* of known size: no call */
            memcpy(dense, row, sizeof(real) * RW_CONV_GROUP);
            continue;
        }
        for (int c = 0; c < RW_CONV_GROUP; c++) dense[c] = c < x->channels ? row[c] : 0;
    }
}

/* + 0: no sum is a negative zero, so that two additions to other sums give the same as one
 * addition. */
static inline void unpack_row(int channels, const real *a, const real *b, bool add, real *row)
{
    for (int c = 0; c < channels; c++) {
        real sum = a[c] + b[c] + 0;
        row[c] = add ? row[c] + sum : sum;
    }
}

void rw_long_unpack(const real *a, const real *b, rw_long_out y)
{
    real *row = y.at;
    for (long t = 0; t < y.rows; t++, a += RW_CONV_GROUP, b += RW_CONV_GROUP, row += y.ld)
        if (y.channels == RW_CONV_GROUP && !y.add)
            unpack_row(RW_CONV_GROUP, a, b, false, row);
        else
            unpack_row(y.channels, a, b, y.add, row);
}

/* ---- The splits above blocks of n/16 points ------------------------------------------ */

static real *tile(tiles *t, int index)
{
    return (real *)t->points[index];
}

typedef void pair_work(rw_root w, long count, real *a, real *b);

/* A split (or join) of all of `blocks` blocks, the first of which is `block`; the
 * halves of each lie side by side. */
static void for_pairs(const real *table, long block, int blocks, int count, tiles *t,
                      pair_work *work)
{
    int half = count / blocks / 2;
    for (int k = 0; k < blocks; k++) {
        rw_root w = rw_long_root(table, block + k);
        for (int i = 2 * k * half; i < (2 * k + 1) * half; i++)
            work(w, TILE_ROWS, tile(t, i), tile(t, i + half));
    }
}

static void load_tiles(const point *z, long apart, int count, tiles *t)
{
    for (int i = 0; i < count; i++)
        memcpy(t->points[i], z + i * apart * VECTORS, sizeof t->points[i]);
}

static void store_tiles(const tiles *t, long apart, int count, point *z)
{
    for (int i = 0; i < count; i++)
        memcpy(z + i * apart * VECTORS, t->points[i], sizeof t->points[i]);
}

/* Splits of a block of `count` points that is p splits down, to those at
 * RW_LONG_STAGES. */
static void split_top(const real *table, int p, long block, long count, point *z)
{
    int number = TILES >> p;
    long apart = count / number;
    tiles t;
    if (number == 1) return;
    for (long row = 0; row < apart; row += TILE_ROWS) {
        load_tiles(z + row * VECTORS, apart, number, &t);
        for (int blocks = 1; blocks < number; blocks *= 2)
            for_pairs(table, block * blocks, blocks, number, &t, rw_long_split_pair);
        store_tiles(&t, apart, number, z + row * VECTORS);
    }
}

static void join_top(const real *table, int p, long block, long count, point *z)
{
    int number = TILES >> p;
    long apart = count / number;
    tiles t;
    if (number == 1) return;
    for (long row = 0; row < apart; row += TILE_ROWS) {
        load_tiles(z + row * VECTORS, apart, number, &t);
        for (int blocks = number / 2; blocks >= 1; blocks /= 2)
            for_pairs(table, block * blocks, blocks, number, &t, rw_long_join_pair);
        store_tiles(&t, apart, number, z + row * VECTORS);
    }
}

/* ---- Parts ------------------------------------------------------------------------- */

COMPILED_ONCE void rw_long_part_transform(const real *table, int p, long block, long count, real *z)
{
    int number = TILES >> p;
    long size = count / number;
    split_top(table, p, block, count, (point *)z);
    for (long k = 0; k < number; k++)
        transform_block((const roots *)table, block * number + k, size,
                        (point *)z + k * size * VECTORS);
}

/* Between the splits and the joins at the top. */
COMPILED_ONCE static void multiply_blocks(const real *table, long first, int number, long size,
                                          bool conj, const real *spectrum, point *z)
{
    for (long k = 0; k < number; k++)
        multiply_block((const roots *)table, first + k, size, z + k * size * VECTORS,
                       (const point *)spectrum + k * size * VECTORS, conj);
}

void rw_long_part_multiply(const real *table, int p, long block, long count, bool conj,
                           const real *spectrum, real *z)
{
    int number = TILES >> p;
    split_top(table, p, block, count, (point *)z);
    multiply_blocks(table, block * number, number, count / number, conj, spectrum, (point *)z);
    join_top(table, p, block, count, (point *)z);
}

/* ---- Whole --------------------------------------------------------------------------- */

/* TILE_ROWS rows from `row` on; rows after the document are zero. */
static void load_rows(const rw_long_rows *x, long row, real *dense)
{
    long left = x->rows - row, rows = left < 0 ? 0 : left < TILE_ROWS ? left : TILE_ROWS;
    rw_long_rows part = {rows, x->channels, x->at + row * x->ld, x->ld};
    if (rows > 0) rw_long_pack(&part, dense);
    memset(dense + rows * RW_CONV_GROUP, 0,
           sizeof(real) * RW_CONV_GROUP * (size_t)(TILE_ROWS - rows));
}

/* All splits at the top, from rows. */
static void split_rows(long n, const real *table, const rw_long_rows *x, point *z)
{
    rw_root w = rw_long_root(table, 1);
    long apart = n / TILES;
    real_tiles rows;
    tiles t;
    for (long row = 0; row < apart; row += TILE_ROWS) {
        for (int i = 0; i < TILES; i++) load_rows(x, row + i * apart, rows.rows[i]);
        for (int i = 0; i < TILES / 2; i++) {
            const real *a = rows.rows[i], *b = rows.rows[i + TILES / 2];
            rw_long_widen(w, TILE_ROWS, a, b, tile(&t, i));
            rw_long_widen(negative(w), TILE_ROWS, a, b, tile(&t, i + TILES / 2));
        }
        for (int blocks = 2; blocks < TILES; blocks *= 2)
            for_pairs(table, blocks, blocks, TILES, &t, rw_long_split_pair);
        store_tiles(&t, apart, TILES, z + row * VECTORS);
    }
}

/* TILE_ROWS rows of the result, a + b, from `row` on. */
static void store_rows(long row, const real *a, const real *b, rw_long_out y)
{
    long left = y.rows - row;
    y.rows = left < TILE_ROWS ? left : TILE_ROWS;
    y.at += row * y.ld;
    if (left > 0) rw_long_unpack(a, b, y);
}

/* The join of block 1. */
static void join_tile_rows(long n, const real *table, long row, tiles *t, rw_long_out y)
{
    real f = (real)1 / (real)n;
    rw_root w = rw_long_root(table, 1), turned = {w.re * f, w.im * f}, plain = {f, 0};
    for (int i = 0; i < TILES / 2; i++) {
        real first[TILE_ROWS * RW_CONV_GROUP], second[TILE_ROWS * RW_CONV_GROUP];
        const real *a = tile(t, i), *b = tile(t, i + TILES / 2);
        long at = row + i * (n / TILES);
        rw_long_real_part(plain, TILE_ROWS, a, first);
        rw_long_real_part(plain, TILE_ROWS, b, second);
        store_rows(at, first, second, y);
        rw_long_real_part(turned, TILE_ROWS, a, first);
        rw_long_real_part(negative(turned), TILE_ROWS, b, second);
        store_rows(at + n / 2, first, second, y);
    }
}

/* All joins at the top, to the wanted rows. */
static void join_rows(long n, const real *table, const point *z, rw_long_out y)
{
    long apart = n / TILES;
    tiles t;
    for (long row = 0; row < apart; row += TILE_ROWS) {
        load_tiles(z + row * VECTORS, apart, TILES, &t);
        for (int blocks = TILES / 2; blocks > 1; blocks /= 2)
            for_pairs(table, blocks, blocks, TILES, &t, rw_long_join_pair);
        join_tile_rows(n, table, row, &t, y);
    }
}

void rw_long_transform(long n, const real *table, const rw_long_rows *x, real *spectrum)
{
    split_rows(n, table, x, (point *)spectrum);
    for (long k = 0; k < TILES; k++)
        rw_long_part_transform(table, RW_LONG_STAGES, TILES + k, n / TILES,
                               spectrum + rw_long_group_reals(n / TILES * k));
}

static void multiply(long n, const real *table, const real *spectrum, bool conj,
                     const rw_long_rows *x, rw_long_out y, real *points)
{
    split_rows(n, table, x, (point *)points);
    multiply_blocks(table, TILES, TILES, n / TILES, conj, spectrum, (point *)points);
    join_rows(n, table, (const point *)points, y);
}

void rw_long_convolve(long n, const real *table, const real *spectrum, const rw_long_rows *x,
                      rw_long_out y, real *points)
{
    multiply(n, table, spectrum, false, x, y, points);
}

/* The transform of a polynomial with negated powers of z is the conjugate: modulo z^n - i negative
 * powers come out imaginary. */
void rw_long_correlate(long n, const real *table, const real *spectrum, const rw_long_rows *x,
                       rw_long_out y, real *points)
{
    multiply(n, table, spectrum, true, x, y, points);
}
