#include "kernels/panel_product.h"

#include "kernels/tile_product.h"

/* Rows of a panel that stay in the first-level cache while tiles pass; rows that a narrow panel
 * computes in a separate buffer. */
enum { DEPTH = 512, ASIDE = 24 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* One panel, of which `n` columns count. */
static void panel_product(int m, int n, int k, rw_strided a, const real *panel, bool add, real *c,
                          long ldc)
{
    if (n == RW_PANEL) {
        rw_tile_product(m, RW_PANEL, k, a, panel, RW_PANEL, add, c, ldc);
        return;
    }
    real aside[ASIDE * RW_PANEL];
    for (int i = 0; i < m; i += ASIDE, c += ASIDE * ldc, a.at += ASIDE * a.row) {
        const int rows = least(ASIDE, m - i);
        rw_tile_product(rows, RW_PANEL, k, a, panel, RW_PANEL, 0, aside, RW_PANEL);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < n; j++) {
                const real value = aside[r * RW_PANEL + j];
                c[r * ldc + j] = add ? c[r * ldc + j] + value : value;
            }
    }
}

void rw_panel_product(int m, int n, int k, const real *a, long lda, const real *packed, bool add,
                      real *c, long ldc)
{
    for (int first = 0; first < k; first += DEPTH) {
        const int depth = least(DEPTH, k - first);
        for (int j = 0; j < n; j += RW_PANEL) {
            const real *panel = packed + (size_t)j * (size_t)k + (size_t)first * RW_PANEL;
            panel_product(m, least(RW_PANEL, n - j), depth, (rw_strided){a + first, lda, 1}, panel,
                          add || first > 0, c + j, ldc);
        }
    }
}
