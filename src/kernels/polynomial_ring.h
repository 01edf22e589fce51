/* Products of polynomials modulo z^n - w, for a group of channels at once: what
 * the convolution of a chunk (convolution.c) and of a whole sequence (long_fft.c)
 * are made of. Included by these two files only.
 *
 * Modulo z^n - w^2 the ring splits into two of half the size, modulo z^(n/2) - w
 * and z^(n/2) + w; modulo z^n - w^4 into four of a quarter, modulo z^(n/4) - v
 * for the fourth roots v of w^4. The split is a decimation in frequency, the way
 * back in time: no bit reversal, and factors that are constant in the inner
 * loop. The recursion goes depth first, so that every block is read from the
 * nearest cache that holds it, down to leaves of 4 points, or 8 when n is an odd
 * power of two, which are split, multiplied and joined at once.
 *
 * Blocks are numbered as in a heap: the whole is block 1, the halves of block b
 * are 2 b (modulo z^m - w) and 2 b + 1 (modulo z^m + w), so that its quarters
 * are 4 b ... 4 b + 3 whether they come of one split in four or two in two. */
#ifndef RW_POLYNOMIAL_RING_H
#define RW_POLYNOMIAL_RING_H

#include <math.h>
#include <stdbool.h>

#include "kernels/convolution.h"

/* Vectors of channels in a group: side by side in memory, they use whole cache
 * lines of the rows and share twiddle factors. */
#define VECTORS (RW_CONV_GROUP / RW_LANES)

/* One complex number a lane. A transform is an array [n][VECTORS] of points. */
typedef struct {
    rw_vector_unaligned re, im;
} point;
#define POINT_REALS ((size_t)(2 * RW_LANES))

/* A fourth root w of what a block's ring is modulo, w^2 and w^3. A table of n
 * points has those of blocks 1 ... n/2 - 1. */
typedef struct {
    real re1, im1, re2, im2, re3, im3;
} roots;
#define ROOTS_REALS (sizeof(roots) / sizeof(real))

/* Blocks are split in four, down to 4 points; those of 8 points in two. */
static inline int parts_of(long points)
{
    return points == 8 ? 2 : 4;
}

/* A block is modulo z^m - exp(2 pi i t), t turns; that of the whole is i. Exact
 * in binary. */
static inline double turns_of(long block)
{
    return block == 1 ? 0.25 : (turns_of(block / 2) + (double)(block % 2)) / 2;
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

/* The conjugate of a, times b. */
static inline point conj_product(point a, point b)
{
    return (point){a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}

/* The polynomial a + b z + c z^2 + d z^3 at the roots of unity 1, -1, i, -i.
 * (Four points, not an array of them: gcc -O2 keeps them in registers.) */
static inline void split_at_one(point *a, point *b, point *c, point *d)
{
    point s0 = plus(*a, *c), s1 = minus(*a, *c), s2 = plus(*b, *d), s3 = minus(*b, *d);
    *a = plus(s0, s2);
    *b = minus(s0, s2);
    *c = plus_i(s1, s3);
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
    point s0 = plus(*a, *b), s1 = minus(*a, *b), s2 = plus(*c, *d), s3 = minus(*c, *d);
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
static inline void split_block(point *z, long q, roots w)
{
    long stride = q * VECTORS;
    for (long i = 0; i < stride; i++, z++) {
        point a = z[0], b = z[stride], c = z[2 * stride], d = z[3 * stride];
        split(&a, &b, &c, &d, &w);
        z[0] = a;
        z[stride] = b;
        z[2 * stride] = c;
        z[3 * stride] = d;
    }
}

static inline void join_block(point *z, long q, roots w)
{
    long stride = q * VECTORS;
    for (long i = 0; i < stride; i++, z++) {
        point a = z[0], b = z[stride], c = z[2 * stride], d = z[3 * stride];
        join(&a, &b, &c, &d, &w);
        z[0] = a;
        z[stride] = b;
        z[2 * stride] = c;
        z[3 * stride] = d;
    }
}

/* A block of 2 q points, by the square root w^2 of what it is modulo. */
static inline void split_in_two(point *z, long q, roots w)
{
    long stride = q * VECTORS;
    for (long i = 0; i < stride; i++) {
        point a = z[i], b = times(z[i + stride], w.re2, w.im2);
        z[i] = plus(a, b);
        z[i + stride] = minus(a, b);
    }
}

static inline void join_in_two(point *z, long q, roots w)
{
    long stride = q * VECTORS;
    for (long i = 0; i < stride; i++) {
        point a = z[i], b = z[i + stride];
        z[i] = plus(a, b);
        z[i + stride] = times_conj(minus(a, b), w.re2, w.im2);
    }
}

typedef point point_product(point a, point b);

/* A block of 4 points split, multiplied and joined at once. */
static inline __attribute__((always_inline)) void multiply_leaf(point *z, const point *spectrum,
                                                                roots w, point_product *multiply)
{
    for (int i = 0; i < VECTORS; i++, z++, spectrum++) {
        point a = z[0], b = z[VECTORS], c = z[2 * VECTORS], d = z[3 * VECTORS];
        split(&a, &b, &c, &d, &w);
        a = multiply(a, spectrum[0]);
        b = multiply(b, spectrum[VECTORS]);
        c = multiply(c, spectrum[2 * VECTORS]);
        d = multiply(d, spectrum[3 * VECTORS]);
        join(&a, &b, &c, &d, &w);
        z[0] = a;
        z[VECTORS] = b;
        z[2 * VECTORS] = c;
        z[3 * VECTORS] = d;
    }
}

static inline void multiply_four(const roots *table, long block, point *z, const point *spectrum,
                                 bool conj)
{
    if (conj)
        multiply_leaf(z, spectrum, table[block], conj_product);
    else
        multiply_leaf(z, spectrum, table[block], product);
}

/* z = z * spectrum (conj: the conjugate of z's transform times the spectrum) in
 * the ring of a block of n points. */
static inline void multiply_block(const roots *table, long block, long n, point *z,
                                  const point *spectrum, bool conj)
{
    if (n == 4) {
        multiply_four(table, block, z, spectrum, conj);
    } else if (n == 8) {
        split_in_two(z, 4, table[block]);
        multiply_four(table, 2 * block, z, spectrum, conj);
        multiply_four(table, 2 * block + 1, z + 4 * VECTORS, spectrum + 4 * VECTORS, conj);
        join_in_two(z, 4, table[block]);
    } else {
        long q = n / 4;
        split_block(z, q, table[block]);
        for (long j = 0; j < 4; j++)
            multiply_block(table, 4 * block + j, q, z + j * q * VECTORS, spectrum + j * q * VECTORS,
                           conj);
        join_block(z, q, table[block]);
    }
}

/* The same splits alone: the spectrum of a block. */
static inline void transform_block(const roots *table, long block, long n, point *z)
{
    if (n == 1) return;
    long parts = parts_of(n), q = n / parts;
    if (parts == 2)
        split_in_two(z, q, table[block]);
    else
        split_block(z, q, table[block]);
    for (long j = 0; j < parts; j++)
        transform_block(table, parts * block + j, q, z + j * q * VECTORS);
}

#endif
