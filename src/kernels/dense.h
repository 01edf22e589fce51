/* Copies of blocks, as the products of tiles want them (kernels/tile_product.h): dense, so
 * that rows far apart do not push one another out of the cache, and padded with zeros. */
#ifndef RW_DENSE_H
#define RW_DENSE_H

#include <string.h>

#include "tensor/real.h"

/* to (rows, wide): from (rows, columns), ld, with columns <= wide. */
static inline void rw_dense_copy(int rows, int columns, int wide, const real *from, long ld,
                                 real *to)
{
    for (int i = 0; i < rows; i++, from += ld, to += wide) {
        memcpy(to, from, sizeof(real) * (size_t)columns);
        memset(to + columns, 0, sizeof(real) * (size_t)(wide - columns));
    }
}

/* to (columns, wide): factor times the transpose of from (rows, columns), ld, with
 * rows <= wide. */
static inline void rw_dense_transpose(int rows, int columns, int wide, real factor,
                                      const real *from, long ld, real *to)
{
    for (int j = 0; j < columns; j++, to += wide) {
        for (int i = 0; i < rows; i++) to[i] = factor * from[(size_t)i * (size_t)ld + (size_t)j];
        memset(to + rows, 0, sizeof(real) * (size_t)(wide - rows));
    }
}

#endif
