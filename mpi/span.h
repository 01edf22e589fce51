/* The span of a rank: the rows that it holds of the sequences of a micro-batch.
 * Ranks of layout->sp_comm hold consecutive ranges of whole chunks of the same
 * sequences; the last chunk of a sequence may be short. */
#ifndef RW_SPAN_H
#define RW_SPAN_H

#include "mpi/layout.h"

typedef struct {
    const rw_layout *layout;
    long sequences; /* of the micro-batch */
    long most;      /* largest number of sequences of any: what buffers are made for */
    long length;    /* tokens of a sequence, L */
    int chunk;      /* tokens of a chunk, T */
    rw_range rows;  /* tokens of each sequence that this rank holds */
    long stride;    /* rows from one sequence to the next in the rank's arrays */
} rw_span;

/* The tokens of each sequence that rank `rank` of sp_comm holds. */
rw_range rw_span_rows(const rw_span *span, int rank);
static inline long rw_span_count(const rw_span *span)
{
    return span->rows.end - span->rows.begin;
}

#endif
