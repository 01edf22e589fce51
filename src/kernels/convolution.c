/* The product of polynomials modulo z^n - i.
 *
 * A chunk of x and a kernel are real polynomials of degree < n in the delay z.
 * Modulo z^n - i their product is lo(z) + i hi(z), where lo holds the first n
 * coefficients, the causal convolution, and hi the n that would wrap around:
 * its real part is the answer. (Nussbaumer's right-angle convolution.) So n
 * complex points do what the usual padding with zeros does with 2n, one channel
 * takes one vector lane, and channels never mix.
 *
 * Modulo z^n - w^4 the ring splits into four of a quarter of the size, modulo
 * z^(n/4) - i^j w for j = 0..3. `split` reduces to them, `join` goes back, and
 * the product is taken where n = 1. This is a decimation in frequency forward
 * and in time backward: no bit reversal, and twiddle factors that are constant
 * in the inner loop. The recursion goes depth first, so that every block is
 * read from the nearest cache that holds it. The first split reads real rows
 * and the last join writes them; when n is an odd power of two they start with
 * z^n - i = (z^(n/2) - e)(z^(n/2) + e), e = exp(i pi/4).
 *
 * Correlations are convolutions of rows taken in reverse order: a negative
 * leading dimension. Groups that are not whole (fewer rows or channels) are
 * copied to a whole one padded with zeros, so that every result comes from the
 * same instructions. */
#include "kernels/convolution.h"

#include <math.h>
#include <string.h>

/* Vectors of channels in a group: side by side in memory, they use whole cache
 * lines of the rows and share twiddle factors. */
#define VECTORS (RW_CONV_GROUP / RW_LANES)

/* One complex number a lane. A transform is an array [n][VECTORS] of points. */
typedef struct {
    rw_vector_unaligned re, im;
} point;
#define POINT_REALS ((size_t)(2 * RW_LANES))

/* A fourth root w of what a block's ring is modulo, w^2 and w^3. */
typedef struct {
    real re1, im1, re2, im2, re3, im3;
} roots;
#define ROOTS_REALS (sizeof(roots) / sizeof(real))

/* A plan opened. Blocks at the top: one of n points, or two of n/2. */
typedef struct {
    int n;
    int tops;
    const roots *level;
} transform;

/* Chunks of 1 and 2 tokens are computed as the first rows of 4. */
static int points_of(int chunk)
{
    return chunk < 4 ? 4 : chunk;
}

static int tops_of(int n)
{
    return __builtin_ctz((unsigned)n) % 2 ? 2 : 1;
}

static transform open_plan(int chunk, const real *plan)
{
    int n = points_of(chunk);
    return (transform){.n = n, .tops = tops_of(n), .level = (const roots *)plan};
}

size_t rw_conv_plan_reals(int chunk)
{
    int n = points_of(chunk), tops = tops_of(n);
    return ROOTS_REALS * (size_t)((n - tops) / 3); /* tops (1 + 4 + ... + n / tops / 4) */
}

/* Block b of a level is modulo z^m - exp(2 pi i t): its child j has the turns
 * (t + j)/4. All turns are exact in binary. */
static double turns_of(int tops, int blocks, int block)
{
    if (blocks == tops) return tops == 1 ? 0.25 : 0.125 + 0.5 * block;
    return (turns_of(tops, blocks / 4, block / 4) + block % 4) / 4;
}

void rw_conv_plan_init(int chunk, real *plan)
{
    int n = points_of(chunk), tops = tops_of(n);
    for (int blocks = tops; blocks < n; blocks *= 4)
        for (int block = 0; block < blocks; block++)
            for (int power = 1; power <= 3; power++) {
                double turns = turns_of(tops, blocks, block) / 4 * power;
                *plan++ = (real)cos(2 * M_PI * turns);
                *plan++ = (real)sin(2 * M_PI * turns);
            }
}

static size_t group_reals(int chunk)
{
    return (size_t)points_of(chunk) * VECTORS * POINT_REALS;
}

size_t rw_conv_spectrum_reals(int chunk, int channels)
{
    return group_reals(chunk) * (size_t)((channels + RW_CONV_GROUP - 1) / RW_CONV_GROUP);
}

/* Points of one group, a spectrum, and rows padded to a whole group. */
size_t rw_conv_scratch_reals(int chunk, int channels)
{
    (void)channels;
    return 2 * group_reals(chunk) + (size_t)points_of(chunk) * RW_CONV_GROUP;
}

static inline point plus(point a, point b)
{
    return (point){a.re + b.re, a.im + b.im};
}

static inline point minus(point a, point b)
{
    return (point){a.re - b.re, a.im - b.im};
}

static inline point plus_i(point a, point b)
{
    return (point){a.re - b.im, a.im + b.re};
}

static inline point minus_i(point a, point b)
{
    return (point){a.re + b.im, a.im - b.re};
}

static inline point times(point a, real re, real im)
{
    return (point){a.re * re - a.im * im, a.re * im + a.im * re};
}

static inline point times_conj(point a, real re, real im)
{
    return (point){a.re * re + a.im * im, a.im * re - a.re * im};
}

static inline point product(point a, point b)
{
    return (point){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* b_0..b_3 at the four roots of unity. */
static inline void split4(point b0, point b1, point b2, point b3, point out[4])
{
    point s0 = plus(b0, b2), s1 = minus(b0, b2), s2 = plus(b1, b3), s3 = minus(b1, b3);
    out[0] = plus(s0, s2);
    out[1] = plus_i(s1, s3);
    out[2] = minus(s0, s2);
    out[3] = minus_i(s1, s3);
}

static inline void split_point(point a[4], const roots *w)
{
    split4(a[0], times(a[1], w->re1, w->im1), times(a[2], w->re2, w->im2),
           times(a[3], w->re3, w->im3), a);
}

/* Four times the inverse of split4, as join_point is of split_point. */
static inline void join4(point a[4])
{
    point s0 = plus(a[0], a[2]), s1 = minus(a[0], a[2]);
    point s2 = plus(a[1], a[3]), s3 = minus(a[1], a[3]);
    a[0] = plus(s0, s2);
    a[1] = minus_i(s1, s3);
    a[2] = minus(s0, s2);
    a[3] = plus_i(s1, s3);
}

static inline void join_point(point a[4], const roots *w)
{
    join4(a);
    a[1] = times_conj(a[1], w->re1, w->im1);
    a[2] = times_conj(a[2], w->re2, w->im2);
    a[3] = times_conj(a[3], w->re3, w->im3);
}

static inline void load4(point a[4], const point *z, int stride)
{
    for (int j = 0; j < 4; j++) a[j] = z[j * stride];
}

static inline void store4(point *z, int stride, const point a[4])
{
    for (int j = 0; j < 4; j++) z[j * stride] = a[j];
}

/* A block of 4 q points in place; w by value, so that it stays in registers. */
static inline void split_block(point *z, int q, roots w)
{
    for (int i = 0; i < q * VECTORS; i++) {
        point a[4];
        load4(a, z + i, q * VECTORS);
        split_point(a, &w);
        store4(z + i, q * VECTORS, a);
    }
}

static inline void join_block(point *z, int q, roots w)
{
    for (int i = 0; i < q * VECTORS; i++) {
        point a[4];
        load4(a, z + i, q * VECTORS);
        join_point(a, &w);
        store4(z + i, q * VECTORS, a);
    }
}

/* Blocks of 4 points: split, multiplied by the spectrum and joined at once. */
static inline void multiply_leaf(point *z, const point *spectrum, roots w)
{
    for (int i = 0; i < VECTORS; i++) {
        point a[4];
        load4(a, z + i, VECTORS);
        split_point(a, &w);
        for (int j = 0; j < 4; j++) a[j] = product(a[j], spectrum[i + j * VECTORS]);
        join_point(a, &w);
        store4(z + i, VECTORS, a);
    }
}

/* z = z * spectrum in the ring of a block of n points. `level` has the roots of
 * all blocks of this size. */
static void multiply_block(const roots *level, int blocks, int block, int n, point *z,
                           const point *spectrum)
{
    if (n == 1) {
        for (int i = 0; i < VECTORS; i++) z[i] = product(z[i], spectrum[i]);
        return;
    }
    if (n == 4) {
        multiply_leaf(z, spectrum, level[block]);
        return;
    }
    int q = n / 4;
    split_block(z, q, level[block]);
    for (int j = 0; j < 4; j++)
        multiply_block(level + blocks, 4 * blocks, 4 * block + j, q, z + j * q * VECTORS,
                       spectrum + j * q * VECTORS);
    join_block(z, q, level[block]);
}

/* The same splits alone: the spectrum of a block. */
static void transform_block(const roots *level, int blocks, int block, int n, point *z)
{
    if (n == 1) return;
    int q = n / 4;
    split_block(z, q, level[block]);
    for (int j = 0; j < 4; j++)
        transform_block(level + blocks, 4 * blocks, 4 * block + j, q, z + j * q * VECTORS);
}

static inline rw_vector load_row(const real *x, ptrdiff_t ld, int row, int v)
{
    return *(const rw_vector_unaligned *)(x + row * ld + v * RW_LANES);
}

static inline void store_row(real *y, ptrdiff_t ld, int row, int v, rw_vector value, int add)
{
    rw_vector_unaligned *at = (rw_vector_unaligned *)(y + row * ld + v * RW_LANES);
    if (add) value += *at;
    *at = value;
}

#define ROOT_HALF ((real)0.70710678118654752440) /* real and imaginary part of e */

/* First split of real rows, one block at the top: rows n/4 apart. */
static void split_rows(int n, roots w, const real *x, ptrdiff_t ld, point *z)
{
    int q = n / 4;
    for (int row = 0; row < q; row++)
        for (int v = 0; v < VECTORS; v++) {
            rw_vector x1 = load_row(x, ld, row + q, v);
            rw_vector x2 = load_row(x, ld, row + 2 * q, v);
            rw_vector x3 = load_row(x, ld, row + 3 * q, v);
            point a[4];
            split4((point){load_row(x, ld, row, v), (rw_vector){0}},
                   (point){x1 * w.re1, x1 * w.im1}, (point){x2 * w.re2, x2 * w.im2},
                   (point){x3 * w.re3, x3 * w.im3}, a);
            store4(z + row * VECTORS + v, q * VECTORS, a);
        }
}

/* The same with two blocks at the top: rows n/8 apart. */
static void split_rows_in_two(int n, const roots w[2], const real *x, ptrdiff_t ld, point *z)
{
    int q = n / 8;
    roots w0 = w[0], w1 = w[1];
    for (int row = 0; row < q; row++)
        for (int v = 0; v < VECTORS; v++) {
            point *at = z + row * VECTORS + v;
            point a[4], b[4];
            for (int j = 0; j < 4; j++) {
                rw_vector low = load_row(x, ld, row + j * q, v);
                rw_vector high = load_row(x, ld, row + (j + 4) * q, v) * ROOT_HALF;
                a[j] = (point){low + high, high};
                b[j] = (point){low - high, -high};
            }
            split_point(a, &w0);
            store4(at, q * VECTORS, a);
            split_point(b, &w1);
            store4(at + 4 * q * VECTORS, q * VECTORS, b);
        }
}

static inline rw_vector real_times_conj(point a, real re, real im)
{
    return a.re * re + a.im * im;
}

/* Last join: real parts only, divided by n. */
static void join_rows(int n, roots w, const point *z, real *y, ptrdiff_t ld, int add)
{
    int q = n / 4;
    real c = (real)1 / (real)n;
    w = (roots){w.re1 * c, w.im1 * c, w.re2 * c, w.im2 * c, w.re3 * c, w.im3 * c};
    for (int row = 0; row < q; row++)
        for (int v = 0; v < VECTORS; v++) {
            point a[4];
            load4(a, z + row * VECTORS + v, q * VECTORS);
            join4(a);
            store_row(y, ld, row, v, a[0].re * c, add);
            store_row(y, ld, row + q, v, real_times_conj(a[1], w.re1, w.im1), add);
            store_row(y, ld, row + 2 * q, v, real_times_conj(a[2], w.re2, w.im2), add);
            store_row(y, ld, row + 3 * q, v, real_times_conj(a[3], w.re3, w.im3), add);
        }
}

static void join_rows_of_two(int n, const roots w[2], const point *z, real *y, ptrdiff_t ld,
                             int add)
{
    int q = n / 8;
    real c = (real)1 / (real)n, e = c * ROOT_HALF;
    roots w0 = w[0], w1 = w[1];
    for (int row = 0; row < q; row++)
        for (int v = 0; v < VECTORS; v++) {
            const point *at = z + row * VECTORS + v;
            point a[4], b[4];
            load4(a, at, q * VECTORS);
            join_point(a, &w0);
            load4(b, at + 4 * q * VECTORS, q * VECTORS);
            join_point(b, &w1);
            for (int j = 0; j < 4; j++) {
                store_row(y, ld, row + j * q, v, (a[j].re + b[j].re) * c, add);
                store_row(y, ld, row + (j + 4) * q, v, real_times_conj(minus(a[j], b[j]), e, e),
                          add);
            }
        }
}

/* A whole group of rows to its points after the first split. */
static void split_group(const transform *t, const real *x, ptrdiff_t ld, point *z)
{
    if (t->tops == 1)
        split_rows(t->n, t->level[0], x, ld, z);
    else
        split_rows_in_two(t->n, t->level, x, ld, z);
}

static void join_group(const transform *t, const point *z, real *y, ptrdiff_t ld, int add)
{
    if (t->tops == 1)
        join_rows(t->n, t->level[0], z, y, ld, add);
    else
        join_rows_of_two(t->n, t->level, z, y, ld, add);
}

static void transform_group(const transform *t, const real *x, ptrdiff_t ld, point *z)
{
    split_group(t, x, ld, z);
    int blocks = 4 * t->tops, m = t->n / blocks;
    for (int block = 0; block < blocks; block++)
        transform_block(t->level + t->tops, blocks, block, m, z + block * m * VECTORS);
}

static void multiply_group(const transform *t, point *z, const point *spectrum)
{
    int blocks = 4 * t->tops, m = t->n / blocks;
    for (int block = 0; block < blocks; block++)
        multiply_block(t->level + t->tops, blocks, block, m, z + block * m * VECTORS,
                       spectrum + block * m * VECTORS);
}

/* Rows of a group of channels in the caller's array, and where a group that is
 * not whole is padded: n rows of RW_CONV_GROUP. */
typedef struct {
    int rows, width;
    real *padded;
} extent;

static int is_whole(const transform *t, extent e)
{
    return e.rows == t->n && e.width == RW_CONV_GROUP;
}

static void pad(const transform *t, extent e, const real *x, ptrdiff_t ld)
{
    memset(e.padded, 0, sizeof(real) * (size_t)t->n * RW_CONV_GROUP);
    for (int row = 0; row < e.rows; row++)
        memcpy(e.padded + row * RW_CONV_GROUP, x + row * ld, sizeof(real) * (size_t)e.width);
}

static void transform_extent(const transform *t, extent e, const real *x, ptrdiff_t ld, point *z)
{
    int whole = is_whole(t, e);
    if (!whole) pad(t, e, x, ld);
    transform_group(t, whole ? x : e.padded, whole ? ld : RW_CONV_GROUP, z);
}

static void convolve_extent(const transform *t, extent e, const point *spectrum, const real *x,
                            ptrdiff_t ldx, real *y, ptrdiff_t ldy, int add, point *z)
{
    int whole = is_whole(t, e);
    if (!whole) pad(t, e, x, ldx);
    split_group(t, whole ? x : e.padded, whole ? ldx : RW_CONV_GROUP, z);
    multiply_group(t, z, spectrum);
    if (!whole && add) pad(t, e, y, ldy);
    join_group(t, z, whole ? y : e.padded, whole ? ldy : RW_CONV_GROUP, add);
    for (int row = 0; !whole && row < e.rows; row++)
        memcpy(y + row * ldy, e.padded + row * RW_CONV_GROUP, sizeof(real) * (size_t)e.width);
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

void rw_conv_transform(int chunk, const real *plan, int channels, int begin, int end,
                       const real *kernel, real *spectrum, real *scratch)
{
    transform t = open_plan(chunk, plan);
    for (int c = begin; c < end; c += RW_CONV_GROUP) {
        extent e = {chunk, min_int(RW_CONV_GROUP, channels - c), scratch};
        point *z = (point *)(spectrum + group_reals(chunk) * (size_t)(c / RW_CONV_GROUP));
        transform_extent(&t, e, kernel + c, channels, z);
    }
}

static void convolve(int chunk, const real *plan, int channels, int rows, const real *spectrum,
                     const real *x, ptrdiff_t ldx, real *y, ptrdiff_t ldy, int add, real *scratch)
{
    transform t = open_plan(chunk, plan);
    for (int c = 0; c < channels; c += RW_CONV_GROUP) {
        extent e = {rows, min_int(RW_CONV_GROUP, channels - c), scratch + group_reals(chunk)};
        convolve_extent(&t, e, (const point *)spectrum, x + c, ldx, y + c, ldy, add,
                        (point *)scratch);
        spectrum += group_reals(chunk);
    }
}

void rw_conv_forward(int chunk, const real *plan, int channels, int rows, const real *spectrum,
                     const real *x, int ldx, real *y, int ldy, int add, real *scratch)
{
    convolve(chunk, plan, channels, rows, spectrum, x, ldx, y, ldy, add, scratch);
}

/* In reverse order dx is the causal convolution of dy. */
void rw_conv_backward(int chunk, const real *plan, int channels, int rows, const real *spectrum,
                      const real *dy, int ldy, real *dx, int ldx, int add, real *scratch)
{
    ptrdiff_t last = rows - 1;
    convolve(chunk, plan, channels, rows, spectrum, dy + last * ldy, -ldy, dx + last * ldx, -ldx,
             add, scratch);
}

/* In reverse order dkernel is the causal convolution of reversed dy and x. */
void rw_conv_backward_kernel(int chunk, const real *plan, int channels, int rows, const real *x,
                             int ldx, const real *dy, int ldy, real *dkernel, real *scratch)
{
    transform t = open_plan(chunk, plan);
    ptrdiff_t last = rows - 1;
    point *z = (point *)scratch, *spectrum = (point *)(scratch + group_reals(chunk));
    real *padded = scratch + 2 * group_reals(chunk);
    for (int c = 0; c < channels; c += RW_CONV_GROUP) {
        extent e = {rows, min_int(RW_CONV_GROUP, channels - c), padded};
        transform_extent(&t, e, x + c, ldx, spectrum);
        convolve_extent(&t, e, spectrum, dy + last * ldy + c, -ldy, dkernel + last * channels + c,
                        -(ptrdiff_t)channels, 1, z);
    }
}

void rw_conv_reference(int chunk, int channels, int rows, const real *kernel, const real *x,
                       int ldx, real *y, int ldy)
{
    (void)chunk;
    for (int t = 0; t < rows; t++)
        for (int d = 0; d < channels; d++) {
            double sum = 0;
            for (int s = 0; s <= t; s++)
                sum += (double)kernel[(ptrdiff_t)(t - s) * channels + d] *
                       (double)x[(ptrdiff_t)s * ldx + d];
            y[(ptrdiff_t)t * ldy + d] = (real)sum;
        }
}
