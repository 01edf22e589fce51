#include "ops/attention/attention_mask.h"

static long later(long a, long b)
{
    return a > b ? a : b;
}

static long first_in_window(const rw_attention_mask *mask, long row)
{
    return mask->window && row >= mask->window ? row - mask->window + 1 : 0;
}

void rw_attention_mask_fill(const rw_attention_mask *mask, long sequences, long *first)
{
    const long blocks = rw_attention_blocks(mask);
    for (long s = 0; s < sequences; s++) {
        const uint8_t *starts = mask->starts ? mask->starts + s * mask->length : NULL;
        for (long i = 0, row = 0, document = 0; i < blocks; i++) {
            for (; starts && row <= i * mask->block; row++)
                if (starts[row]) document = row;
            first[s * blocks + i] = later(document, first_in_window(mask, i * mask->block));
        }
    }
}

void rw_attention_mask_rows(const rw_attention_mask *mask, long sequence, long block, long *first)
{
    const long begin = block * mask->block, left = mask->length - begin;
    const uint8_t *starts = mask->starts ? mask->starts + sequence * mask->length : NULL;
    long document = mask->first[sequence * rw_attention_blocks(mask) + block];
    for (long row = begin; row < begin + mask->block && row < begin + left; row++) {
        if (starts && starts[row]) document = row;
        first[row - begin] = later(document, first_in_window(mask, row));
    }
}

rw_range rw_attention_keys_of(const rw_attention_mask *mask, long sequence, long block)
{
    const long first = mask->first[sequence * rw_attention_blocks(mask) + block];
    return (rw_range){first / mask->block, block + 1};
}

rw_range rw_attention_queries_of(const rw_attention_mask *mask, long sequence, long block)
{
    const long blocks = rw_attention_blocks(mask), end = (block + 1) * mask->block;
    const long *first = mask->first + sequence * blocks;
    long sees = block, not_any_more = blocks;
    while (not_any_more - sees > 1) { /* first never decreases */
        long middle = sees + (not_any_more - sees) / 2;
        if (first[middle] < end)
            sees = middle;
        else
            not_any_more = middle;
    }
    return (rw_range){block, not_any_more};
}

rw_range rw_attention_keys_needed(const rw_attention_mask *mask, rw_range sequences, rw_range rows)
{
    rw_range needed = rows;
    for (long s = sequences.begin; s < sequences.end; s++) {
        long begin = rw_attention_keys_of(mask, s, rows.begin / mask->block).begin * mask->block;
        if (begin < needed.begin) needed.begin = begin;
    }
    return needed;
}

rw_range rw_attention_queries_needed(const rw_attention_mask *mask, rw_range sequences,
                                     rw_range rows)
{
    rw_range needed = rows;
    for (long s = sequences.begin; s < sequences.end; s++) {
        long last = (rows.end - 1) / mask->block;
        long end = rw_attention_queries_of(mask, s, last).end * mask->block;
        needed.end = later(needed.end, end < mask->length ? end : mask->length);
    }
    return needed;
}
