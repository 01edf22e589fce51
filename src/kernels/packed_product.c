#include "kernels/packed_product.h"

#define INLINE static inline __attribute__((always_inline))

/* Accumulators of a tile: enough to hide the latency of an addition, and few
 * enough for the registers. A tile is `count` vectors by `panels` panels. */
enum { PANEL_VECTORS = 2, ACCUMULATORS = 8, MOST_VECTORS = 4 };

void rw_pack_panel(int m, int n, const real *matrix, bool transpose, int panel, real *packed)
{
    size_t rows = transpose ? 1 : (size_t)n, columns = transpose ? (size_t)m : 1;
    real *to = packed + (size_t)panel * (size_t)m * RW_PANEL;
    for (int k = 0; k < m; k++)
        for (int j = 0; j < RW_PANEL; j++) {
            int column = panel * RW_PANEL + j;
            to[(size_t)k * RW_PANEL + (size_t)j] =
                column < n ? matrix[(size_t)k * rows + (size_t)column * columns] : 0;
        }
}

INLINE rw_vector load(const real *from)
{
    return *(const rw_vector_unaligned *)from;
}

INLINE void tile(int count, int panels, int m, const real *packed, const real *const *x,
                 real *const *y)
{
    rw_vector sum[ACCUMULATORS];
    const size_t panel = (size_t)m * RW_PANEL;
    for (int a = 0; a < count * panels * PANEL_VECTORS; a++) sum[a] = (rw_vector){0};
    for (int k = 0; k < m; k++)
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++)
#pragma GCC unroll 2
            for (int v = 0; v < PANEL_VECTORS; v++) {
                rw_vector weight =
                    load(packed + (size_t)p * panel + (size_t)k * RW_PANEL + v * RW_LANES);
#pragma GCC unroll 4
                for (int i = 0; i < count; i++) {
                    int a = (i * panels + p) * PANEL_VECTORS + v;
                    sum[a] = sum[a] + x[i][k] * weight;
                }
            }
    for (int i = 0; i < count; i++)
        for (int a = 0; a < panels * PANEL_VECTORS; a++)
            *(rw_vector_unaligned *)(y[i] + a * RW_LANES) = sum[i * panels * PANEL_VECTORS + a];
}

/* `count` vectors, 1, 2 or 4, by all panels. */
INLINE void product(int count, int m, int n, const real *packed, const real *const *x,
                    real *const *y)
{
    const int abreast = ACCUMULATORS / PANEL_VECTORS / count, panels = rw_panels(n);
    real *to[MOST_VECTORS];
    int p = 0;
    for (int i = 0; i < count; i++) to[i] = y[i];
    for (int width; p < panels; p += width) {
        const real *from = packed + (size_t)p * (size_t)m * RW_PANEL;
        width = panels - p >= abreast ? abreast : 1;
        if (width > 1)
            tile(count, abreast, m, from, x, to);
        else
            tile(count, 1, m, from, x, to);
        for (int i = 0; i < count; i++) to[i] += width * RW_PANEL;
    }
}

void rw_packed_product(int m, int n, const real *packed, int count, const real *const *x,
                       real *const *y)
{
    int i = 0;
    for (; i + 4 <= count; i += 4) product(4, m, n, packed, x + i, y + i);
    for (; i + 2 <= count; i += 2) product(2, m, n, packed, x + i, y + i);
    for (; i < count; i++) product(1, m, n, packed, x + i, y + i);
}
