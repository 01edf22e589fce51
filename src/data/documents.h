/* Documents in a row of tokens. starts (rows): 1 where a document begins, NULL: one document. Row
 * 0 begins a document in any case. */
#ifndef RW_DOCUMENTS_H
#define RW_DOCUMENTS_H

#include <stdint.h>
#include <string.h>

/* The first row after `row` at which a document begins; `rows` if there is none. */
static inline long rw_document_end(const uint8_t *starts, long row, long rows)
{
    const uint8_t *next = NULL;
    if (starts && row + 1 < rows) next = memchr(starts + row + 1, 1, (size_t)(rows - row - 1));
    return next ? next - starts : rows;
}

/* The first row of the document that holds `row`. */
static inline long rw_document_begin(const uint8_t *starts, long row)
{
    while (starts && row > 0 && !starts[row]) row--;
    return starts ? row : 0;
}

#endif
