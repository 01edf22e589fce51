/* Copies of blocks, as the products of tiles want them (kernels/tile_product.h): dense, so
 * that rows far apart do not push one another out of the cache, and padded with zeros. */
#ifndef RW_DENSE_H
#define RW_DENSE_H

#include <stdint.h>

#include "kernels/lanes.h"

/* Four reals, whatever the instruction set: the side of the squares that are transposed. */
#define RW_SQUARE 4
typedef real rw_four __attribute__((vector_size(RW_SQUARE * sizeof(real))));
typedef real rw_four_unaligned
    __attribute__((vector_size(RW_SQUARE * sizeof(real)), aligned(sizeof(real)), may_alias));

/* Those of the eight reals of a and b with the indices i, j, k, l. */
#ifdef __clang__
#define RW_PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#ifdef RW_DOUBLE
typedef int64_t rw_four_indices __attribute__((vector_size(RW_SQUARE * sizeof(real))));
#else
typedef int32_t rw_four_indices __attribute__((vector_size(RW_SQUARE * sizeof(real))));
#endif
#define RW_PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (rw_four_indices){i, j, k, l})
#endif

/* to (rows, wide): from (rows, columns), ld, with columns <= wide. In vectors: a row is
 * too short for a call of memcpy. */
static inline void rw_dense_copy(int rows, int columns, int wide, const real *from, long ld,
                                 real *to)
{
    const int vectors = columns / RW_LANES;
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            rw_lanes_store(to + (long)i * wide, v, rw_lanes_load(from + i * ld, v));
    if (vectors * RW_LANES == wide) return;
    for (int i = 0; i < rows; i++)
        for (int j = vectors * RW_LANES; j < wide; j++)
            to[(long)i * wide + j] = j < columns ? from[i * ld + j] : 0;
}

/* A square of rw_dense_transpose. */
static inline void rw_square_transpose(real factor, const real *from, long ld, real *to, int wide)
{
    rw_four row[RW_SQUARE];
    for (int i = 0; i < RW_SQUARE; i++)
        row[i] = factor * *(const rw_four_unaligned *)(from + i * ld);
    const rw_four top = RW_PICK(row[0], row[1], 0, 4, 1, 5);
    const rw_four top_end = RW_PICK(row[0], row[1], 2, 6, 3, 7);
    const rw_four low = RW_PICK(row[2], row[3], 0, 4, 1, 5);
    const rw_four low_end = RW_PICK(row[2], row[3], 2, 6, 3, 7);
    *(rw_four_unaligned *)to = RW_PICK(top, low, 0, 1, 4, 5);
    *(rw_four_unaligned *)(to + wide) = RW_PICK(top, low, 2, 3, 6, 7);
    *(rw_four_unaligned *)(to + 2L * wide) = RW_PICK(top_end, low_end, 0, 1, 4, 5);
    *(rw_four_unaligned *)(to + 3L * wide) = RW_PICK(top_end, low_end, 2, 3, 6, 7);
}

/* to (columns, wide): factor times the transpose of from (rows, columns), ld, with
 * rows <= wide. By squares: one element after the other would go through the rows once for
 * each column, and lose them from the cache where they are a power of two apart. */
static inline void rw_dense_transpose(int rows, int columns, int wide, real factor,
                                      const real *from, long ld, real *to)
{
    const int square_rows = rows - rows % RW_SQUARE;
    const int square_columns = columns - columns % RW_SQUARE;
    for (int i = 0; i < square_rows; i += RW_SQUARE)
        for (int j = 0; j < square_columns; j += RW_SQUARE)
            rw_square_transpose(factor, from + i * ld + j, ld, to + (long)j * wide + i, wide);
    for (int j = 0; j < columns; j++, to += wide) {
        for (int i = j < square_columns ? square_rows : 0; i < rows; i++)
            to[i] = factor * from[i * ld + j];
        for (int i = rows; i < wide; i++) to[i] = 0;
    }
}

#endif
