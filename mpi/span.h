/* The span of a rank: the rows that it holds of the sequences of a micro-batch.
 * Ranks of layout->sp_comm hold consecutive ranges of whole chunks of the same
 * sequences; the last chunk of a sequence may be short. Some rows may stand before
 * the first of these chunks, all on the first rank (model/global_memory.h):
 *
 *   rows   | before | chunk 0 | chunk 1 | chunk 2 | chunk 3 | chunk 4 |
 *   ranks  |          0                 |      1            |    2    |
 */
#ifndef RW_SPAN_H
#define RW_SPAN_H

#include "mpi/layout.h"

typedef struct {
    const rw_layout *layout;
    long sequences; /* of the micro-batch */
    long most;      /* largest number of sequences of any micro-batch: the size of buffers */
    long length;    /* rows of a sequence, L */
    long before;    /* of these, past rows before the shared chunks: whole chunks, or 0 */
    int chunk;      /* tokens of a chunk, T */
    rw_range rows;  /* tokens of each sequence that this rank holds */
    long stride;    /* rows from one sequence to the next in the rank's arrays */
} rw_span;

/* The tokens of each sequence that rank `rank` of sp_comm holds. */
rw_range rw_span_rows(const rw_span *span, int rank);
/* No rank holds more of a sequence. */
long rw_span_most_rows(const rw_span *span);
/* The rank of sp_comm that holds row `row` of each sequence. */
int rw_span_owner(const rw_span *span, long row);
static inline long rw_span_count(const rw_span *span)
{
    return span->rows.end - span->rows.begin;
}

#endif
