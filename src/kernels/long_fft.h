/* Causal convolution of a whole document with a filter as long as it is, for one
 * group of channels (RW_CONV_GROUP), by the transform modulo z^n - i of
 * polynomial_ring.h. Two ways to the same bits:
 *
 * whole   one caller has all rows: rw_long_transform, _convolve, _correlate
 * parts   P = 2^p callers have n / P consecutive rows each, p <= RW_LONG_STAGES.
 *         A split in two pairs row i with row i + n/2: caller r with r ^ (P/2).
 *         After p splits caller r holds block P + r of the ring, which is its
 *         own, to the end of the way back. Nothing is ever reordered.
 *
 *      P = 4     block 1        blocks 2, 3       blocks 4 ... 7    (and back)
 *   caller 0   rows, and 2's    pairs with 1      its own
 *          1   rows, and 3's    pairs with 0      its own
 *          2   rows, and 0's    pairs with 3      its own
 *          3   rows, and 1's    pairs with 2      its own
 *
 * Therefore the first RW_LONG_STAGES splits are always splits in two, and are
 * done by the functions below, on one caller's tiles or between two callers.
 *
 * n: a power of two >= rw_long_points(rows). A group's points: n complex numbers
 * of each channel, rw_long_group_reals(n) reals; its rows dense: (rows,
 * RW_CONV_GROUP). Kernels are pure: no allocation, no I/O, no globals. Any
 * alignment gives the same bits. Not collective.
 *
 * Source: H. J. Nussbaumer 1981, Fast Fourier transform and convolution
 * algorithms, chapter 2 (right-angle convolution); transforms without
 * reordering: Gentleman and Sande 1966. */
#ifndef RW_LONG_FFT_H
#define RW_LONG_FFT_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/convolution.h"
#include "tensor/real.h"

/* Splits in two before blocks are split in four. */
enum { RW_LONG_STAGES = 4 };

/* Points of a document of `rows` tokens: a power of two, at least 64. */
long rw_long_points(long rows);

/* Factors of transforms of up to n points: (blocks 1 ... n/2 - 1). Part `part` of
 * `parts`, so that threads can share the work. */
size_t rw_long_table_reals(long n);
void rw_long_table_fill(long n, int part, int parts, real *table);

size_t rw_long_group_reals(long n);

/* Rows of up to RW_CONV_GROUP channels of a matrix: input (followed by zeros), and wanted rows of a
 * result. */
typedef struct {
    long rows;
    int channels;
    const real *at;
    long ld;
} rw_long_rows;
typedef struct {
    long rows;
    int channels;
    real *at;
    long ld;
    bool add;
} rw_long_out;

/* spectrum = transform of x. */
void rw_long_transform(long n, const real *table, const rw_long_rows *x, real *spectrum);
/* y (+)= x convolved with the filter of the spectrum: y[t] = sum_{s<=t} h[t-s] x[s]. points:
 * working memory of a group. y may be x. */
void rw_long_convolve(long n, const real *table, const real *spectrum, const rw_long_rows *x,
                      rw_long_out y, real *points);
/* y (+)= correlation of x with dy, given by its spectrum: y[j] = sum_{t>=j} x[t-j] dy[t]: dx of the
 * filter h, dh of the input x. */
void rw_long_correlate(long n, const real *table, const real *spectrum, const rw_long_rows *x,
                       rw_long_out y, real *points);

/* ---- Parts ------------------------------------------------------------------ */

typedef struct {
    real re, im;
} rw_root;
/* w of a block modulo z^m - w^2. */
rw_root rw_long_root(const real *table, long block);

/* Way out. The split of block 1, of reals: a caller of the lower half is left
 * with points a + w b, one of the upper with a + (-w) b, where the rows a are of
 * the lower and b of the upper half. And of other blocks, in place: a and b become
 * a + w b and a - w b, of which each of two callers keeps its own. */
void rw_long_widen(rw_root w, long rows, const real *a, const real *b, real *points);
void rw_long_split_pair(rw_root w, long count, real *a, real *b);

/* A caller's own block (p splits down) of `count` points: z = its transform; z =
 * z times the spectrum (conj: the conjugate of z times the spectrum) and the way
 * back. */
void rw_long_part_transform(const real *table, int p, long block, long count, real *z);
void rw_long_part_multiply(const real *table, int p, long block, long count, bool conj,
                           const real *spectrum, real *z);

/* Way back, to the halves of a block: a and b become a + b and (a - b) / w. */
void rw_long_join_pair(rw_root w, long count, real *a, real *b);
/* And to the rows of block 1, Re(a / w) for `rows` points a; the result is,
 * n times too large, lower real_part(1, a) + real_part(1, b), upper
 * real_part(w, a) + real_part(-w, b). Powers of two in w are exact: 1/n belongs there. */
void rw_long_real_part(rw_root w, long rows, const real *points, real *out);

/* Dense rows of a group, zero after its channels, and the inverse: y (+)= a + b. */
void rw_long_pack(const rw_long_rows *x, real *dense);
void rw_long_unpack(const real *a, const real *b, rw_long_out y);

#endif
