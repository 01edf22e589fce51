#include "data_pipeline/dataset_append.h"

#include "base/memory.h"

#define PIECE 65536 /* tokens at a time */

typedef struct {
    rw_dataset *old;
    rw_dataset_writer *writer;
    uint8_t *bytes;
} copying;

/* The writer takes letters, not their places in the alphabet of the old file. */
static rw_status copy_tokens(const copying *c, uint64_t begin, uint64_t end)
{
    const char *alphabet = rw_dataset_describe(c->old)->alphabet;
    while (begin < end) {
        uint64_t part = end - begin < PIECE ? end - begin : PIECE;
        RW_TRY(rw_dataset_read(c->old, begin, part, c->bytes));
        for (uint64_t i = 0; i < part && alphabet[0]; i++)
            c->bytes[i] = (uint8_t)alphabet[c->bytes[i]];
        RW_TRY(rw_dataset_writer_append(c->writer, c->bytes, part));
        begin += part;
    }
    return RW_OK;
}

static rw_status copy_source(const copying *c, size_t source, int number)
{
    const rw_dataset_index *index = rw_dataset_lists(c->old);
    bool last = source + 1 == index->source_count;
    uint64_t tokens = rw_dataset_describe(c->old)->tokens;
    uint64_t after = last ? index->document_count : index->source_documents[source + 1];
    rw_dataset_writer_begin_source(c->writer, number, index->source_heldout[source]);
    rw_dataset_writer_set_source(c->writer, number, index->source_sizes[source],
                                 index->source_hashes[source]);
    for (uint64_t d = index->source_documents[source]; d < after; d++) {
        uint64_t end = d + 1 < index->document_count ? index->documents[d + 1] : tokens;
        RW_TRY(rw_dataset_writer_begin_document(c->writer));
        RW_TRY(copy_tokens(c, index->documents[d], end));
    }
    return RW_OK;
}

rw_status rw_dataset_copy_sources(rw_dataset *old, bool heldout, rw_dataset_writer *writer,
                                  int *source)
{
    rw_status status = RW_OK;
    copying c = {.old = old, .writer = writer};
    if (!old) return RW_OK;
    const rw_dataset_index *index = rw_dataset_lists(old);
    RW_TRY(rw_alloc(PIECE, 1, "tokens to be copied", &c.bytes));
    for (size_t i = 0; i < index->source_count && status == RW_OK; i++)
        if (index->source_heldout[i] == heldout) status = copy_source(&c, i, (*source)++);
    rw_free(&c.bytes);
    return status;
}
