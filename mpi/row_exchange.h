/* All-to-all by key: every row goes to the row of its sequence given by its key, on any rank.
 * Copies only. Predicted volume sent by a rank: for each row whose key is on another rank, width
 * reals and the key (8 bytes); and the numbers of rows, 8 (P-1) bytes. */
#ifndef RW_ROW_EXCHANGE_H
#define RW_ROW_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpi/span.h"
#include "tensor/real.h"

/* Reals in the buffer of rw_rows_exchange. */
size_t rw_rows_buffer(const rw_span *span, int width);
/* Bytes that this rank sends for these keys. */
double rw_rows_bytes(const rw_span *span, int width, const int64_t *keys);

/* keys (sequences, span->stride): for each local row, its destination: a row of the same
 * sequence, 0 <= key < length. The keys are a permutation of each
 * sequence's rows. Row r of sequence b of from and to: (b * stride + r) * ld.
 * `add`: adds to `to` instead of overwriting. Collective over layout->sp_comm. */
void rw_rows_exchange(const rw_span *span, int width, const int64_t *keys, const real *from,
                      int from_ld, real *to, int to_ld, bool add, real *buffer);

#endif
