#include "data_pipeline/dataset_index.h"

#include "base/memory.h"
#include "data_pipeline/dataset_fields.h"
#include "storage/content_hash.h"

rw_status rw_dataset_index_write(const rw_dataset_index *index, hid_t file, const char *path)
{
    RW_TRY(rw_field_put_numbers(file, path, "documents", index->documents, index->document_count));
    RW_TRY(
        rw_field_put_numbers(file, path, "chunk_hashes", index->chunk_hashes, index->chunk_count));
    RW_TRY(rw_field_put_names(file, path, "source_names", index->source_names, index->name_bytes,
                              index->source_count));
    RW_TRY(
        rw_field_put_numbers(file, path, "source_sizes", index->source_sizes, index->source_count));
    return rw_field_put_numbers(file, path, "source_hashes", index->source_hashes,
                                index->source_count);
}

rw_status rw_dataset_index_read(hid_t file, const char *path, rw_dataset_index *out)
{
    rw_status status;
    size_t sizes, hashes;
    *out = (rw_dataset_index){0};
    RW_TRY_DONE(
        rw_field_get_numbers(file, path, "documents", &out->documents, &out->document_count));
    RW_TRY_DONE(
        rw_field_get_numbers(file, path, "chunk_hashes", &out->chunk_hashes, &out->chunk_count));
    RW_TRY_DONE(rw_field_get_names(file, path, "source_names", &out->source_names, &out->name_bytes,
                                   &out->source_count));
    RW_TRY_DONE(rw_field_get_numbers(file, path, "source_sizes", &out->source_sizes, &sizes));
    RW_TRY_DONE(rw_field_get_numbers(file, path, "source_hashes", &out->source_hashes, &hashes));
    if (sizes != out->source_count || hashes != out->source_count)
        status = rw_fail(RW_ERROR,
                         "%s: the lists of sources differ in length; build the dataset "
                         "again with `ropewalk data build`",
                         path);
done:
    if (status != RW_OK) rw_dataset_index_free(out);
    return status;
}

uint64_t rw_dataset_index_hash(const rw_dataset_index *index)
{
    rw_hasher hasher;
    rw_hasher_reset(&hasher);
    rw_hasher_add(&hasher, index->documents, index->document_count * sizeof(uint64_t));
    rw_hasher_add(&hasher, index->chunk_hashes, index->chunk_count * sizeof(uint64_t));
    rw_hasher_add(&hasher, index->source_names, index->source_count * index->name_bytes);
    rw_hasher_add(&hasher, index->source_sizes, index->source_count * sizeof(uint64_t));
    rw_hasher_add(&hasher, index->source_hashes, index->source_count * sizeof(uint64_t));
    return rw_hasher_value(&hasher);
}

void rw_dataset_index_free(rw_dataset_index *index)
{
    rw_free(&index->documents);
    rw_free(&index->chunk_hashes);
    rw_free(&index->source_names);
    rw_free(&index->source_sizes);
    rw_free(&index->source_hashes);
    *index = (rw_dataset_index){0};
}
