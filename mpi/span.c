#include "mpi/span.h"

rw_range rw_span_rows(const rw_span *span, int rank)
{
    long chunks = (span->length + span->chunk - 1) / span->chunk;
    rw_range part = rw_split(chunks, span->layout->sp, rank);
    long end = part.end * span->chunk;
    return (rw_range){part.begin * span->chunk, end < span->length ? end : span->length};
}
