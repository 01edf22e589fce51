/* All-to-all between rows and lanes: before, a rank holds its rows of all lanes
 * (heads, groups of channels); after, all rows of its lanes, rw_split(lanes, sp).
 * Both may be uneven; with more ranks than lanes some ranks hold none.
 *
 *   rows of a value                    whole lanes of this rank
 *   (sequences, stride, ld)   <->      (sequences, lanes of mine, length, width)
 *
 * lane l is columns [l * width, (l+1) * width). Copies only: bits do not change.
 * Predicted volume (elements, forward or back) sent by a rank with r of L rows
 * and n of N lanes: gather S r (N - n) width, scatter S (L - r) n width; for even
 * shares S L D (P-1)/P^2, D = N width (the Ulysses scheme, Jacobs et al. 2023). */
#ifndef RW_LANE_EXCHANGE_H
#define RW_LANE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/span.h"
#include "tensor/real.h"

/* The lanes of this rank. */
rw_range rw_lanes_own(const rw_span *span, int lanes);
/* Reals of the whole lanes of this rank, and of the buffer that gather and
 * scatter need, for span->most sequences. */
size_t rw_lanes_reals(const rw_span *span, int lanes, int width);
size_t rw_lanes_buffer(const rw_span *span, int lanes, int width);
/* Bytes that this rank sends. */
double rw_lanes_gather_bytes(const rw_span *span, int lanes, int width);
double rw_lanes_scatter_bytes(const rw_span *span, int lanes, int width);

/* Collective over layout->sp_comm. `add`: to rows instead of writing them. */
void rw_lanes_gather(const rw_span *span, int lanes, int width, const real *rows, int ld,
                     real *whole, real *buffer);
void rw_lanes_scatter(const rw_span *span, int lanes, int width, const real *whole, real *rows,
                      int ld, bool add, real *buffer);

#endif
