/* The mask of causal attention. Row t sees keys first_t to t, where first_t = max(start of the
 * document of t, t - window + 1). first_t never decreases from row to row, so the blocks of keys
 * for a block of rows are a range. */
#ifndef RW_ATTENTION_MASK_H
#define RW_ATTENTION_MASK_H

#include <stdint.h>

#include "mpi/layout.h"

typedef struct {
    long length;           /* rows of a sequence, L */
    long window;           /* most keys that a row sees, the row itself included; 0: all */
    int block;             /* rows of a block, a power of two */
    const uint8_t *starts; /* (sequences, length): 1 where a document begins; NULL: none */
    const long *first;     /* (sequences, blocks): first_t of each block's first row */
} rw_attention_mask;

static inline long rw_attention_blocks(const rw_attention_mask *mask)
{
    return (mask->length + mask->block - 1) / mask->block;
}

/* Writes the array of mask->first. */
void rw_attention_mask_fill(const rw_attention_mask *mask, long sequences, long *first);

/* first_t of all rows of a block. */
void rw_attention_mask_rows(const rw_attention_mask *mask, long sequence, long block, long *first);

/* The blocks of keys that a block of queries sees; the blocks of queries that see a block of keys.
 * Both contain the block itself. */
rw_range rw_attention_keys_of(const rw_attention_mask *mask, long sequence, long block);
rw_range rw_attention_queries_of(const rw_attention_mask *mask, long sequence, long block);

/* Over all given sequences, in whole blocks: the rows of keys that the given rows see, and the rows
 * of queries that see the given rows. */
rw_range rw_attention_keys_needed(const rw_attention_mask *mask, rw_range sequences, rw_range rows);
rw_range rw_attention_queries_needed(const rw_attention_mask *mask, rw_range sequences,
                                     rw_range rows);

#endif
