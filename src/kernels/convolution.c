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
 * read from the nearest cache that holds it, down to leaves of 4 points, or 8
 * when n is an odd power of two, which are split, multiplied and joined at once.
 * The first split reads real rows and the last join writes them.
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

/* Points of a chunk; shorter ones are computed as its first rows. */
static int points_of(int chunk)
{
    return chunk < 16 ? 16 : chunk;
}

/* Blocks are split in four, down to 4 points; those of 8 points in two. A plan
 * is the roots of 1, 4, 16, ..., n/4 blocks. */
static int parts_of(int points)
{
    return points == 8 ? 2 : 4;
}

size_t rw_conv_plan_reals(int chunk)
{
    size_t entries = 0;
    int n = points_of(chunk);
    for (int m = n; m > 1; m /= parts_of(m)) entries += (size_t)(n / m);
    return ROOTS_REALS * entries;
}

/* Block b of m of n points is modulo z^m - exp(2 pi i t), t turns; its part j
 * of p has (t + j)/p turns. All turns are exact in binary. */
static double turns_of(int n, int m, int block)
{
    if (m == n) return 0.25;
    int parts = m == 4 && __builtin_ctz((unsigned)n) % 2 ? 2 : 4;
    return (turns_of(n, m * parts, block / parts) + block % parts) / parts;
}

void rw_conv_plan_init(int chunk, real *plan)
{
    int n = points_of(chunk);
    for (int m = n; m > 1; m /= parts_of(m))
        for (int block = 0; block < n / m; block++)
            for (int power = 1; power <= 3; power++) {
                double turns = turns_of(n, m, block) / 4 * power;
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

/* The polynomial a + b z + c z^2 + d z^3 at the four roots of unity. (Four
 * points, not an array of them: gcc -O2 keeps them in registers.) */
static inline void split_at_one(point *a, point *b, point *c, point *d)
{
    point s0 = plus(*a, *c), s1 = minus(*a, *c), s2 = plus(*b, *d), s3 = minus(*b, *d);
    *a = plus(s0, s2);
    *b = plus_i(s1, s3);
    *c = minus(s0, s2);
    *d = minus_i(s1, s3);
}

/* The same at the fourth roots of w^4. */
static inline void split(point *a, point *b, point *c, point *d, const roots *w)
{
    *b = times(*b, w->re1, w->im1);
    *c = times(*c, w->re2, w->im2);
    *d = times(*d, w->re3, w->im3);
    split_at_one(a, b, c, d);
}

/* Four times the inverses. */
static inline void join_at_one(point *a, point *b, point *c, point *d)
{
    point s0 = plus(*a, *c), s1 = minus(*a, *c), s2 = plus(*b, *d), s3 = minus(*b, *d);
    *a = plus(s0, s2);
    *b = minus_i(s1, s3);
    *c = minus(s0, s2);
    *d = plus_i(s1, s3);
}

static inline void join(point *a, point *b, point *c, point *d, const roots *w)
{
    join_at_one(a, b, c, d);
    *b = times_conj(*b, w->re1, w->im1);
    *c = times_conj(*c, w->re2, w->im2);
    *d = times_conj(*d, w->re3, w->im3);
}

/* A block of 4 q points in place; w by value, so that it stays in registers. */
static inline void split_block(point *z, int q, roots w)
{
    int stride = q * VECTORS;
    for (int i = 0; i < stride; i++, z++) {
        point a = z[0], b = z[stride], c = z[2 * stride], d = z[3 * stride];
        split(&a, &b, &c, &d, &w);
        z[0] = a;
        z[stride] = b;
        z[2 * stride] = c;
        z[3 * stride] = d;
    }
}

static inline void join_block(point *z, int q, roots w)
{
    int stride = q * VECTORS;
    for (int i = 0; i < stride; i++, z++) {
        point a = z[0], b = z[stride], c = z[2 * stride], d = z[3 * stride];
        join(&a, &b, &c, &d, &w);
        z[0] = a;
        z[stride] = b;
        z[2 * stride] = c;
        z[3 * stride] = d;
    }
}

/* A block of 2 q points, by the square root w^2 of what it is modulo. */
static inline void split_in_two(point *z, int q, roots w)
{
    int stride = q * VECTORS;
    for (int i = 0; i < stride; i++) {
        point a = z[i], b = times(z[i + stride], w.re2, w.im2);
        z[i] = plus(a, b);
        z[i + stride] = minus(a, b);
    }
}

static inline void join_in_two(point *z, int q, roots w)
{
    int stride = q * VECTORS;
    for (int i = 0; i < stride; i++) {
        point a = z[i], b = z[i + stride];
        z[i] = plus(a, b);
        z[i + stride] = times_conj(minus(a, b), w.re2, w.im2);
    }
}

/* A block of 4 points split, multiplied and joined at once. */
static inline void multiply_leaf(point *z, const point *spectrum, roots w)
{
    for (int i = 0; i < VECTORS; i++, z++, spectrum++) {
        point a = z[0], b = z[VECTORS], c = z[2 * VECTORS], d = z[3 * VECTORS];
        split(&a, &b, &c, &d, &w);
        a = product(a, spectrum[0]);
        b = product(b, spectrum[VECTORS]);
        c = product(c, spectrum[2 * VECTORS]);
        d = product(d, spectrum[3 * VECTORS]);
        join(&a, &b, &c, &d, &w);
        z[0] = a;
        z[VECTORS] = b;
        z[2 * VECTORS] = c;
        z[3 * VECTORS] = d;
    }
}

/* z = z * spectrum in the ring of a block of n points. `level` has the roots of
 * all blocks of this size. */
static void multiply_block(const roots *level, int blocks, int block, int n, point *z,
                           const point *spectrum)
{
    const roots *next = level + blocks;
    if (n == 4) {
        multiply_leaf(z, spectrum, level[block]);
    } else if (n == 8) {
        split_in_two(z, 4, level[block]);
        multiply_leaf(z, spectrum, next[2 * block]);
        multiply_leaf(z + 4 * VECTORS, spectrum + 4 * VECTORS, next[2 * block + 1]);
        join_in_two(z, 4, level[block]);
    } else {
        int q = n / 4;
        split_block(z, q, level[block]);
        for (int j = 0; j < 4; j++)
            multiply_block(next, 4 * blocks, 4 * block + j, q, z + j * q * VECTORS,
                           spectrum + j * q * VECTORS);
        join_block(z, q, level[block]);
    }
}

/* The same splits alone: the spectrum of a block. */
static void transform_block(const roots *level, int blocks, int block, int n, point *z)
{
    if (n == 1) return;
    int parts = parts_of(n), q = n / parts;
    if (parts == 2)
        split_in_two(z, q, level[block]);
    else
        split_block(z, q, level[block]);
    for (int j = 0; j < parts; j++)
        transform_block(level + blocks, parts * blocks, parts * block + j, q, z + j * q * VECTORS);
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

/* First split, of real rows: rows n/4 apart. */
static void split_rows(int n, roots w, const real *x, ptrdiff_t ld, point *z)
{
    int q = n / 4, stride = q * VECTORS;
    for (int row = 0; row < q; row++)
        for (int v = 0; v < VECTORS; v++, z++) {
            rw_vector x0 = load_row(x, ld, row, v), x1 = load_row(x, ld, row + q, v);
            rw_vector x2 = load_row(x, ld, row + 2 * q, v), x3 = load_row(x, ld, row + 3 * q, v);
            point a = {x0, (rw_vector){0}}, b = {x1 * w.re1, x1 * w.im1};
            point c = {x2 * w.re2, x2 * w.im2}, d = {x3 * w.re3, x3 * w.im3};
            split_at_one(&a, &b, &c, &d);
            z[0] = a;
            z[stride] = b;
            z[2 * stride] = c;
            z[3 * stride] = d;
        }
}

static inline rw_vector real_times_conj(point a, real re, real im)
{
    return a.re * re + a.im * im;
}

/* Last join: real parts only, divided by n, the factor of n splits and joins. */
static void join_rows(int n, roots w, const point *z, real *y, ptrdiff_t ld, int add)
{
    int q = n / 4, stride = q * VECTORS;
    real f = (real)1 / (real)n;
    w = (roots){w.re1 * f, w.im1 * f, w.re2 * f, w.im2 * f, w.re3 * f, w.im3 * f};
    for (int row = 0; row < q; row++)
        for (int v = 0; v < VECTORS; v++, z++) {
            point a = z[0], b = z[stride], c = z[2 * stride], d = z[3 * stride];
            join_at_one(&a, &b, &c, &d);
            store_row(y, ld, row, v, a.re * f, add);
            store_row(y, ld, row + q, v, real_times_conj(b, w.re1, w.im1), add);
            store_row(y, ld, row + 2 * q, v, real_times_conj(c, w.re2, w.im2), add);
            store_row(y, ld, row + 3 * q, v, real_times_conj(d, w.re3, w.im3), add);
        }
}

static void transform_group(int n, const roots *plan, const real *x, ptrdiff_t ld, point *z)
{
    int q = n / 4;
    split_rows(n, plan[0], x, ld, z);
    for (int j = 0; j < 4; j++) transform_block(plan + 1, 4, j, q, z + j * q * VECTORS);
}

static void multiply_group(int n, const roots *plan, point *z, const point *spectrum)
{
    int q = n / 4;
    for (int j = 0; j < 4; j++)
        multiply_block(plan + 1, 4, j, q, z + j * q * VECTORS, spectrum + j * q * VECTORS);
}

/* A group of channels: n points, of which the caller has some rows and
 * channels, and n rows of RW_CONV_GROUP to pad it in when these are not all. */
typedef struct {
    int n, rows, channels;
    real *padded;
} group;

static int is_whole(const group *g)
{
    return g->rows == g->n && g->channels == RW_CONV_GROUP;
}

static void pad(const group *g, const real *x, ptrdiff_t ld)
{
    memset(g->padded, 0, sizeof(real) * (size_t)g->n * RW_CONV_GROUP);
    for (int row = 0; row < g->rows; row++)
        memcpy(g->padded + row * RW_CONV_GROUP, x + row * ld, sizeof(real) * (size_t)g->channels);
}

static void transform_rows(const group *g, const roots *plan, const real *x, ptrdiff_t ld, point *z)
{
    int whole = is_whole(g);
    if (!whole) pad(g, x, ld);
    transform_group(g->n, plan, whole ? x : g->padded, whole ? ld : RW_CONV_GROUP, z);
}

static void convolve_rows(const group *g, const roots *plan, const point *spectrum, const real *x,
                          ptrdiff_t ldx, real *y, ptrdiff_t ldy, int add, point *z)
{
    int whole = is_whole(g);
    if (!whole) pad(g, x, ldx);
    split_rows(g->n, plan[0], whole ? x : g->padded, whole ? ldx : RW_CONV_GROUP, z);
    multiply_group(g->n, plan, z, spectrum);
    if (!whole && add) pad(g, y, ldy);
    join_rows(g->n, plan[0], z, whole ? y : g->padded, whole ? ldy : RW_CONV_GROUP, add);
    if (whole) return;
    for (int row = 0; row < g->rows; row++)
        memcpy(y + row * ldy, g->padded + row * RW_CONV_GROUP, sizeof(real) * (size_t)g->channels);
}

/* The group of channels that starts at `begin`. */
static group group_at(int chunk, int rows, int begin, int channels, real *padded)
{
    int left = channels - begin;
    return (group){points_of(chunk), rows, left < RW_CONV_GROUP ? left : RW_CONV_GROUP, padded};
}

void rw_conv_transform(int chunk, const real *plan, int channels, int begin, int end,
                       const real *kernel, real *spectrum, real *scratch)
{
    for (int c = begin; c < end; c += RW_CONV_GROUP) {
        group g = group_at(chunk, chunk, c, channels, scratch);
        point *z = (point *)(spectrum + group_reals(chunk) * (size_t)(c / RW_CONV_GROUP));
        transform_rows(&g, (const roots *)plan, kernel + c, channels, z);
    }
}

static void convolve(int chunk, const real *plan, int channels, int rows, const real *spectrum,
                     const real *x, ptrdiff_t ldx, real *y, ptrdiff_t ldy, int add, real *scratch)
{
    for (int c = 0; c < channels; c += RW_CONV_GROUP) {
        group g = group_at(chunk, rows, c, channels, scratch + group_reals(chunk));
        convolve_rows(&g, (const roots *)plan, (const point *)spectrum, x + c, ldx, y + c, ldy, add,
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
    convolve(chunk, plan, channels, rows, spectrum, dy + last * ldy, -(ptrdiff_t)ldy,
             dx + last * ldx, -(ptrdiff_t)ldx, add, scratch);
}

/* In reverse order dkernel is the causal convolution of reversed dy and x. */
void rw_conv_backward_kernel(int chunk, const real *plan, int channels, int rows, const real *x,
                             int ldx, const real *dy, int ldy, real *dkernel, real *scratch)
{
    ptrdiff_t last = rows - 1;
    point *z = (point *)scratch, *spectrum = (point *)(scratch + group_reals(chunk));
    for (int c = 0; c < channels; c += RW_CONV_GROUP) {
        group g = group_at(chunk, rows, c, channels, scratch + 2 * group_reals(chunk));
        transform_rows(&g, (const roots *)plan, x + c, ldx, spectrum);
        convolve_rows(&g, (const roots *)plan, spectrum, dy + last * ldy + c, -(ptrdiff_t)ldy,
                      dkernel + last * channels + c, -(ptrdiff_t)channels, 1, z);
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
