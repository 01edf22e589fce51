/* All-to-all between rows and slabs: before, a rank holds its rows of all slabs
 * (heads, groups of channels); after, all rows of its slabs, rw_split(slabs, sp).
 * Both may be uneven; with more ranks than slabs some ranks hold none.
 *
 *   rows of a value                    whole slabs of this rank
 *   (sequences, stride, ld)   <->      (sequences, slabs of mine, length, width)
 *
 * slab l is columns [l * width, (l+1) * width). Copies only: bits do not change.
 * Predicted volume (elements, forward or back) sent by a rank with r of L rows
 * and n of N slabs: gather S r (N - n) width, scatter S (L - r) n width; for even
 * shares S L D (P-1)/P^2, D = N width (the Ulysses scheme, Jacobs et al. 2023). */
#ifndef RW_SLAB_EXCHANGE_H
#define RW_SLAB_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/span.h"
#include "tensor/real.h"

/* The slabs of this rank. */
rw_range rw_slabs_own(const rw_span *span, int slabs);
/* Reals of the whole slabs of this rank, and of the buffer that gather and
 * scatter need, for span->most sequences. */
size_t rw_slabs_reals(const rw_span *span, int slabs, int width);
size_t rw_slabs_buffer(const rw_span *span, int slabs, int width);
/* Bytes that this rank sends. */
double rw_slabs_gather_bytes(const rw_span *span, int slabs, int width);
double rw_slabs_scatter_bytes(const rw_span *span, int slabs, int width);

/* Collective over layout->sp_comm. `add`: to rows instead of writing them. */
void rw_slabs_gather(const rw_span *span, int slabs, int width, const real *rows, int ld,
                     real *whole, real *buffer);
void rw_slabs_scatter(const rw_span *span, int slabs, int width, const real *whole, real *rows,
                      int ld, bool add, real *buffer);

#endif
