/* Products of whole chunks with weights, which lie in panels, so that the tiles
 * (kernels/tile_product.h) read them in order and from the first-level cache: weights are
 * packed once a step for all chunks.
 *
 * A matrix of n columns has rw_panels(n) panels of RW_PANEL columns, each dense and row
 * after row, the last one padded with zeros (kernels/packed_product.h, whose
 * rw_pack_panel packs weights). Faster than a library's product, which packs its operands
 * anew in every call: docs/decisions/0023-tile-product.md. */
#ifndef RW_PANEL_PRODUCT_H
#define RW_PANEL_PRODUCT_H

#include <stdbool.h>

#include "kernels/packed_product.h"
#include "tensor/real.h"

/* c = a B, or with `add` c + a B: a (m, k), rows lda apart; B (k, n) packed; c (m, n). */
void rw_panel_product(int m, int n, int k, const real *a, long lda, const real *packed, bool add,
                      real *c, long ldc);

#endif
