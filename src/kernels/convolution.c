/* The product of polynomials modulo z^n - i.
 *
 * A chunk of x and a kernel are real polynomials of degree < n in the delay z.
 * Modulo z^n - i their product is lo(z) + i hi(z), where lo holds the first n
 * coefficients, the causal convolution, and hi the n that would wrap around:
 * its real part is the answer. (Nussbaumer's right-angle convolution.) So n
 * complex points do what the usual padding with zeros does with 2n, one channel
 * takes one vector lane, and channels never mix.
 *
 * The product is taken in the rings that z^n - i splits into (polynomial_ring.h).
 * The first split reads real rows and the last join writes them.
 *
 * Correlations are convolutions of rows taken in reverse order: a negative
 * leading dimension. Groups that are not whole (fewer rows or channels) are
 * copied to a whole one padded with zeros, so that every result comes from the
 * same instructions. */
#include "kernels/convolution.h"

#include <math.h>
#include <string.h>

#include "kernels/polynomial_ring.h"

/* Points of a chunk; shorter ones are computed as its first rows. */
static int points_of(int chunk)
{
    return chunk < 16 ? 16 : chunk;
}

size_t rw_conv_plan_reals(int chunk)
{
    return ROOTS_REALS * (size_t)points_of(chunk) / 2;
}

static roots roots_of(long block)
{
    double angle = 2 * M_PI * turns_of(block) / 4;
    return (roots){(real)cos(angle),     (real)sin(angle),     (real)cos(2 * angle),
                   (real)sin(2 * angle), (real)cos(3 * angle), (real)sin(3 * angle)};
}

/* Of the sizes of blocks that occur; what lies between is never read. */
void rw_conv_plan_init(int chunk, real *plan)
{
    roots *table = (roots *)plan;
    int n = points_of(chunk);
    for (int m = n; m > 1; m /= parts_of(m))
        for (int block = n / m; block < 2 * (n / m); block++) table[block] = roots_of(block);
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
    split_rows(n, plan[1], x, ld, z);
    for (int j = 0; j < 4; j++) transform_block(plan, 4 + j, q, z + j * q * VECTORS);
}

static void multiply_group(int n, const roots *plan, point *z, const point *spectrum)
{
    int q = n / 4;
    for (int j = 0; j < 4; j++)
        multiply_block(plan, 4 + j, q, z + j * q * VECTORS, spectrum + j * q * VECTORS, false);
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
    split_rows(g->n, plan[1], whole ? x : g->padded, whole ? ldx : RW_CONV_GROUP, z);
    multiply_group(g->n, plan, z, spectrum);
    if (!whole && add) pad(g, y, ldy);
    join_rows(g->n, plan[1], z, whole ? y : g->padded, whole ? ldy : RW_CONV_GROUP, add);
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
