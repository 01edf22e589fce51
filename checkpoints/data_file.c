#include "checkpoints/data_file.h"

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/chunk_index.h"
#include "storage/zstd_frame.h"

struct rw_data_file {
    const char *folder, *name;
    unsigned char *bytes;
    rw_chunk_index *index;
    rw_framer *framer;
    unsigned char *chunk; /* the frame unpacked last */
};

rw_status rw_data_file_new(const char *folder, const char *name, unsigned char **bytes, size_t size,
                           rw_data_file **out)
{
    rw_data_file *file = NULL;
    rw_status status;
    RW_TRY_DONE(rw_alloc(1, sizeof *file, "a data file", &file));
    file->folder = folder;
    file->name = name;
    file->bytes = *bytes;
    *bytes = NULL;
    RW_TRY_DONE(rw_chunk_index_new(file->bytes, size, &file->index));
    RW_TRY_DONE(rw_framer_new(RW_CHUNK_MAX_BYTES, 1, &file->framer));
    RW_TRY_DONE(rw_alloc(RW_CHUNK_MAX_BYTES, 1, "a chunk of a tensor", &file->chunk));
done:
    rw_free(bytes);
    if (status != RW_OK) rw_data_file_destroy(&file);
    *out = file;
    return status;
}

void rw_data_file_destroy(rw_data_file **file)
{
    if (*file) {
        rw_chunk_index_destroy(&(*file)->index);
        rw_framer_destroy(&(*file)->framer);
        rw_free(&(*file)->chunk);
        rw_free(&(*file)->bytes);
    }
    rw_free(file);
}

rw_status rw_data_file_read(rw_data_file *file, const rw_block *block, uint64_t begin, uint64_t end,
                            rw_bytes_sink sink, void *state)
{
    rw_status status = RW_OK;
    rw_chunks chunks;
    rw_chunk_place *places = NULL;
    rw_chunks_plan(block, RW_CHUNK_MAX_BYTES, &chunks);
    RW_TRY(rw_chunk_index_find(file->index, block, &chunks, begin, end, &places));
    if (!places)
        return rw_fail(RW_ERROR,
                       "%s/%s is damaged: the chunks of the dataset %s are not those that the "
                       "manifest demands; use an older checkpoint",
                       file->folder, file->name, block->name);
    for (size_t i = 0; i < chunks.count; i++) {
        const char *wrong = rw_framer_unpack(file->framer, file->bytes + places[i].address,
                                             places[i].bytes, file->chunk, chunks.bytes);
        if (wrong)
            RW_TRY_DONE(rw_fail(RW_ERROR,
                                "%s/%s is damaged: a chunk of the dataset %s: %s; use an older "
                                "checkpoint",
                                file->folder, file->name, block->name, wrong));
        RW_TRY_DONE(sink(state, file->chunk, rw_chunk_at(block, &chunks, i).bytes));
    }
done:
    rw_free(&places);
    return status;
}
