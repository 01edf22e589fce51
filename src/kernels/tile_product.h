/* Products of small matrices that lie in cache, as the chunk kernels need them: no
 * packing, no copies, no pass over the result before the product. A library's
 * product spends a third of its time on these where one dimension is a head's 32 or 64
 * columns (docs/decisions/0023-tile-product.md).
 *
 * b and c are row-major; a is any strided matrix, so that a transpose is free. Every
 * element of c is a sum over the inner index in order, in one accumulator: its bits
 * depend on the shapes and the operands alone. */
#ifndef RW_TILE_PRODUCT_H
#define RW_TILE_PRODUCT_H

#include "tensor/real.h"

/* Element (i, k) is at[i * row + k * column]. */
typedef struct {
    const real *at;
    long row, column;
} rw_strided;

/* c = keep c + a b: a (m, k), b (k, n) with rows ldb reals apart, c (m, n), ldc; with
 * keep = 0, c is not read. */
void rw_tile_product(int m, int n, int k, rw_strided a, const real *b, long ldb, real keep, real *c,
                     long ldc);

#endif
