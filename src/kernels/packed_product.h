/* Vectors times a matrix that stays the same: the product of a recurrence, one
 * token after another. Its cost is reading the matrix, so the matrix is packed
 * in the order in which it is read, and several vectors may share one reading.
 *
 * The matrix M (m, n) lies in panels of RW_PANEL columns, each panel dense and
 * row after row; the last one is padded with zeros:
 *
 *   panel 0 (m, RW_PANEL) | panel 1 (m, RW_PANEL) | ...
 *
 * Every element of a result is a sum over the rows in order, in one accumulator:
 * its bits depend neither on the panels nor on what is computed beside it. */
#ifndef RW_PACKED_PRODUCT_H
#define RW_PACKED_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

#define RW_PANEL (2 * RW_LANES)

/* Panels of n columns; reals of the packed matrix and of a padded result. */
static inline int rw_panels(int n)
{
    return (n + RW_PANEL - 1) / RW_PANEL;
}
static inline size_t rw_packed_columns(int n)
{
    return (size_t)rw_panels(n) * RW_PANEL;
}
static inline size_t rw_packed_reals(int m, int n)
{
    return (size_t)m * rw_packed_columns(n);
}

/* Packs panel `panel` of M (m, n), or of the transpose of M (n, m); both are
 * stored dense, row-major. `packed` is the whole packed matrix. */
void rw_pack_panel(int m, int n, const real *matrix, bool transpose, int panel, real *packed);

/* y_i = x_i M for i < count: x_i (m), y_i (rw_packed_columns(n)). `backwards`: from the last panel
 * to the first, with the same bits. Calls in turn forwards and backwards begin with the panels that
 * the call before ended with: of a matrix that is larger than the cache, those are still there. */
void rw_packed_product(int m, int n, const real *packed, int count, const real *const *x,
                       real *const *y, bool backwards);

#endif
