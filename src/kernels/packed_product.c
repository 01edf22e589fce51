#include "kernels/packed_product.h"

#define INLINE static inline __attribute__((always_inline))

/* Accumulators of a tile: enough to hide the latency of an addition, and few
 * enough for the registers. A tile is `count` vectors by `panels` panels. */
enum { PANEL_VECTORS = 2, ACCUMULATORS = 8, MOST_VECTORS = 4 };

/* Rows that are asked for in advance, about a page, at whose end the processor's
 * own guesses stop; where several panels are read abreast these do well enough. */
enum { AHEAD = 64 };

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

/* Loads a vector for several products into a register: gcc would load it for each of them, and
 * loads limit the loop. */
INLINE rw_vector load_once(const real *from)
{
    rw_vector value = *(const rw_vector_unaligned *)from;
#ifdef __x86_64__
    __asm__("" : "+x"(value));
#endif
    return value;
}

/* One row of `panels` panels, times the elements of `count` vectors. */
INLINE void row(int count, int panels, size_t panel, const real *packed, const real *const *x,
                int k, rw_vector *sum)
{
#pragma GCC unroll 4
    for (int p = 0; p < panels; p++) {
        const real *from = packed + (size_t)p * panel + (size_t)k * RW_PANEL;
        if (panels == 1) __builtin_prefetch(from + AHEAD * RW_PANEL);
#pragma GCC unroll 2
        for (int v = 0; v < PANEL_VECTORS; v++) {
            rw_vector weight = load_once(from + v * RW_LANES);
#pragma GCC unroll 4
            for (int i = 0; i < count; i++) {
                int a = (i * panels + p) * PANEL_VECTORS + v;
                sum[a] = sum[a] + x[i][k] * weight;
            }
        }
    }
}

INLINE void tile(int count, int panels, int m, const real *packed, const real *const *x,
                 real *const *y)
{
    rw_vector sum[ACCUMULATORS];
    const int each = panels * PANEL_VECTORS;
    for (int a = 0; a < count * each; a++) sum[a] = (rw_vector){0};
    for (int k = 0; k < m; k++) row(count, panels, (size_t)m * RW_PANEL, packed, x, k, sum);
    for (int i = 0; i < count; i++)
        for (int v = 0; v < each; v++)
            *(rw_vector_unaligned *)(y[i] + v * RW_LANES) = sum[i * each + v];
}

/* `count` vectors, 1, 2 or 4, by all panels. */
INLINE void product(int count, int m, int n, const real *packed, const real *const *x,
                    real *const *y, bool backwards)
{
    const int abreast = ACCUMULATORS / PANEL_VECTORS / count, panels = rw_panels(n);
    real *to[MOST_VECTORS];
    for (int done = 0, width; done < panels; done += width) {
        width = panels - done >= abreast ? abreast : 1;
        const int first = backwards ? panels - done - width : done;
        const real *from = packed + (size_t)first * (size_t)m * RW_PANEL;
        for (int i = 0; i < count; i++) to[i] = y[i] + (size_t)first * RW_PANEL;
        if (width > 1)
            tile(count, abreast, m, from, x, to);
        else
            tile(count, 1, m, from, x, to);
    }
}

void rw_packed_product(int m, int n, const real *packed, int count, const real *const *x,
                       real *const *y, bool backwards)
{
    int i = 0;
    for (; i + 4 <= count; i += 4) product(4, m, n, packed, x + i, y + i, backwards);
    for (; i + 2 <= count; i += 2) product(2, m, n, packed, x + i, y + i, backwards);
    for (; i < count; i++) product(1, m, n, packed, x + i, y + i, backwards);
}
