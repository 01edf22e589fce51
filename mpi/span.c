#include "mpi/span.h"

static long chunks_of(const rw_span *span)
{
    return (span->length - span->before + span->chunk - 1) / span->chunk;
}

rw_range rw_span_rows(const rw_span *span, int rank)
{
    rw_range part = rw_split(chunks_of(span), span->layout->sp, rank);
    long begin = span->before + part.begin * span->chunk;
    long end = span->before + part.end * span->chunk;
    return (rw_range){rank > 0 ? begin : 0, end < span->length ? end : span->length};
}

long rw_span_most_rows(const rw_span *span)
{
    long sp = span->layout->sp;
    return span->before + (chunks_of(span) + sp - 1) / sp * span->chunk;
}

int rw_span_owner(const rw_span *span, long row)
{
    long chunk = row < span->before ? 0 : (row - span->before) / span->chunk;
    return (int)(((chunk + 1) * span->layout->sp - 1) / chunks_of(span));
}
