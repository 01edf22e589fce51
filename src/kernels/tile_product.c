#include "kernels/tile_product.h"

#define INLINE static inline __attribute__((always_inline))

/* A tile: rows by vectors of accumulators, with two vectors of b and one element of a
 * in the registers that are left. Fewer than ten accumulators would wait for one
 * another. */
enum { VECTORS = 2, MOST_ROWS = RW_VECTOR_BYTES == 64 ? 12 : 6 };

INLINE rw_vector load(const real *from)
{
    return *(const rw_vector_unaligned *)from;
}

/* Rows of a are addressed by the first of every four and the distance of rows, so that the inner
 * loop needs few registers for addresses: a pointer for each row would not fit beside the
 * accumulators. */
enum { ABREAST = 4, MOST_FOURS = (MOST_ROWS + ABREAST - 1) / ABREAST };

INLINE void find_fours(int rows, rw_strided a, const real *four[MOST_FOURS])
{
#pragma GCC unroll 3
    for (int g = 0; g * ABREAST < rows; g++) four[g] = a.at + g * ABREAST * a.row;
}

/* To the next column of a. The empty statements keep compilers from deriving the pointers from one
 * another, which takes more registers. */
INLINE void next_column(int rows, long column, const real *four[MOST_FOURS])
{
#pragma GCC unroll 3
    for (int g = 0; g * ABREAST < rows; g++) {
        four[g] += column;
        __asm__("" : "+r"(four[g]));
    }
}

/* sum += a column of a times a row of b. */
INLINE void add_outer(int rows, int vectors, const real *const *four, long row, const real *b,
                      rw_vector *sum)
{
    rw_vector right[VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) right[v] = load(b + v * RW_LANES);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        const real left = four[i / ABREAST][i % ABREAST * row];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) sum[i * vectors + v] += left * right[v];
    }
}

INLINE void tile(int rows, int vectors, int k, rw_strided a, const real *b, long ldb, real keep,
                 real *c, long ldc)
{
    rw_vector sum[MOST_ROWS * VECTORS];
    const real *four[MOST_FOURS];
#pragma GCC unroll 24
    for (int i = 0; i < rows * vectors; i++) sum[i] = (rw_vector){0};
    find_fours(rows, a, four);
    for (long s = 0; s < k; s++, b += ldb) {
        add_outer(rows, vectors, four, a.row, b, sum);
        next_column(rows, a.column, four);
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            real *to = c + i * ldc + v * RW_LANES;
            rw_vector value = sum[i * vectors + v];
            *(rw_vector_unaligned *)to = keep != 0 ? keep * load(to) + value : value;
        }
}

/* Columns that fill no vector. */
static void narrow(int m, int n, int k, rw_strided a, const real *b, long ldb, real keep, real *c,
                   long ldc)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            real sum = 0;
            for (long s = 0; s < k; s++) sum += a.at[i * a.row + s * a.column] * b[s * ldb + j];
            c[i * ldc + j] = keep != 0 ? keep * c[i * ldc + j] + sum : sum;
        }
}

/* `vectors` vectors of columns: tiles of nearly equal height, because a low tile would cost as much
 * as a high tile. */
INLINE void column(int vectors, int m, int k, rw_strided a, const real *b, long ldb, real keep,
                   real *c, long ldc)
{
    const int tiles = (m + MOST_ROWS - 1) / MOST_ROWS;
    for (int t = 0, i = 0; t < tiles; t++) {
        const int rows = (m - i + tiles - t - 1) / (tiles - t);
        const rw_strided part = {a.at + i * a.row, a.row, a.column};
        real *to = c + i * ldc;
        switch (rows) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        tile(n, vectors, k, part, b, ldb, keep, to, ldc);                                          \
        break;
            CASE(1)
            CASE(2)
            CASE(3)
            CASE(4)
            CASE(5)
            CASE(6)
#if RW_VECTOR_BYTES == 64
            CASE(7)
            CASE(8)
            CASE(9)
            CASE(10)
            CASE(11)
            CASE(12)
#endif
#undef CASE
        }
        i += rows;
    }
}

void rw_tile_product(int m, int n, int k, rw_strided a, const real *b, long ldb, real keep, real *c,
                     long ldc)
{
    int j = 0;
    for (; j + VECTORS * RW_LANES <= n; j += VECTORS * RW_LANES)
        column(VECTORS, m, k, a, b + j, ldb, keep, c + j, ldc);
    for (; j + RW_LANES <= n; j += RW_LANES) column(1, m, k, a, b + j, ldb, keep, c + j, ldc);
    if (j < n) narrow(m, n - j, k, a, b + j, ldb, keep, c + j, ldc);
}
