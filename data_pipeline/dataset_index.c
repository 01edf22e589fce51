#include "data_pipeline/dataset_index.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/dataset_fields.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"
#include "storage/zstd_frame.h"

/* A list in memory: the place of its pointer, and its bytes. */
typedef struct {
    void *pointer; /* to the pointer */
    size_t bytes;
} memory_list;

static void lists_of(const rw_dataset_index *index, memory_list out[RW_DATASET_LISTS])
{
    rw_dataset_index *i = (rw_dataset_index *)index;
    size_t sources = i->source_count * 8, chunks = i->chunk_count * 8;
    out[RW_LIST_DOCUMENTS] = (memory_list){&i->documents, i->document_count * 8};
    out[RW_LIST_HELDOUT] = (memory_list){&i->heldout, i->heldout_count * sizeof(rw_token_range)};
    out[RW_LIST_CHUNK_OFFSETS] = (memory_list){&i->chunk_offsets, chunks};
    out[RW_LIST_CHUNK_SIZES] = (memory_list){&i->chunk_sizes, chunks};
    out[RW_LIST_CHUNK_HASHES] = (memory_list){&i->chunk_hashes, chunks};
    out[RW_LIST_SOURCE_NAMES] = (memory_list){&i->source_names, i->source_count * i->name_bytes};
    out[RW_LIST_SOURCE_SIZES] = (memory_list){&i->source_sizes, sources};
    out[RW_LIST_SOURCE_HASHES] = (memory_list){&i->source_hashes, sources};
    out[RW_LIST_SOURCE_DOCUMENTS] = (memory_list){&i->source_documents, sources};
    out[RW_LIST_SOURCE_HELDOUT] = (memory_list){&i->source_heldout, sources};
}

static void *values_of(const memory_list *list)
{
    return *(void **)list->pointer;
}

rw_status rw_dataset_index_write(const rw_dataset_index *index, hid_t file, const char *path,
                                 rw_dataset_header *header)
{
    memory_list lists[RW_DATASET_LISTS];
    lists_of(index, lists);
    for (int i = 0; i < RW_DATASET_LISTS; i++) {
        rw_list_extent *extent = &header->lists[i];
        const char *name = rw_list_names[i];
        const void *values = values_of(&lists[i]);
        extent->bytes = lists[i].bytes;
        extent->hash = rw_hash(values, lists[i].bytes);
        if (i == RW_LIST_SOURCE_NAMES)
            RW_TRY(rw_field_put_names(file, path, name, values, index->name_bytes,
                                      index->source_count, &extent->offset));
        else
            RW_TRY(rw_field_put_numbers(file, path, name, values, lists[i].bytes / 8,
                                        &extent->offset));
    }
    header->name_bytes = index->name_bytes;
    return RW_OK;
}

static rw_status damaged(const char *path, rw_list_name list, const char *reason)
{
    return rw_fail(RW_ERROR,
                   "%s is damaged: its list '%s' %s; restore it from a copy, or build the dataset "
                   "again with `ropewalk data build`",
                   path, rw_list_names[list], reason);
}

static rw_status read_list(int file, const char *path, rw_list_name name,
                           const rw_list_extent *extent, const memory_list *list)
{
    void *values;
    RW_TRY(rw_alloc(extent->bytes ? extent->bytes : 1, 1, rw_list_names[name], list->pointer));
    values = values_of(list);
    RW_TRY(rw_file_read_at(file, path, extent->offset, values, extent->bytes));
    if (rw_hash(values, extent->bytes) == extent->hash) return RW_OK;
    return damaged(path, name, "has another hash than its header tells");
}

/* ---- What readers rely on --------------------------------------------------- */

static bool never_decrease(const uint64_t *values, size_t count, uint64_t first, uint64_t limit)
{
    if (count > 0 && values[0] != first) return false;
    for (size_t i = 1; i < count; i++)
        if (values[i] < values[i - 1]) return false;
    return count == 0 || values[count - 1] <= limit;
}

static bool ranges_fit(const rw_dataset_index *index, uint64_t tokens)
{
    uint64_t free = 0; /* a range may begin here */
    for (size_t i = 0; i < index->heldout_count; i++) {
        rw_token_range r = index->heldout[i];
        if (r.begin < free || r.begin >= r.end || r.end > tokens) return false;
        free = r.end + 1;
    }
    return true;
}

static bool frames_fit(const rw_dataset_index *index, uint64_t file_bytes)
{
    const uint64_t most = rw_frame_limit(RW_DATASET_CHUNK);
    for (size_t i = 0; i < index->chunk_count; i++) {
        uint64_t offset = index->chunk_offsets[i], bytes = index->chunk_sizes[i];
        if (bytes == 0 || bytes > most || offset < RW_DATASET_HEADER || offset > file_bytes ||
            bytes > file_bytes - offset)
            return false;
    }
    return true;
}

static bool names_end(const rw_dataset_index *index)
{
    for (size_t i = 0; i < index->source_count; i++)
        if (!memchr(rw_dataset_index_name(index, i), '\0', index->name_bytes)) return false;
    return true;
}

static bool flags_fit(const rw_dataset_index *index)
{
    for (size_t i = 0; i < index->source_count; i++)
        if (index->source_heldout[i] > 1) return false;
    return true;
}

static rw_status check(const rw_dataset_index *index, const char *path,
                       const rw_dataset_header *header)
{
    if (!never_decrease(index->documents, index->document_count, 0, header->tokens))
        return damaged(path, RW_LIST_DOCUMENTS, "is not in order within the tokens");
    if (!ranges_fit(index, header->tokens))
        return damaged(path, RW_LIST_HELDOUT, "is not in order within the tokens");
    if (!frames_fit(index, header->file_bytes))
        return damaged(path, RW_LIST_CHUNK_OFFSETS, "does not lie within the file");
    if (!never_decrease(index->source_documents, index->source_count, 0, index->document_count))
        return damaged(path, RW_LIST_SOURCE_DOCUMENTS, "is not in order within the documents");
    if (!names_end(index)) return damaged(path, RW_LIST_SOURCE_NAMES, "has a name without an end");
    if (!flags_fit(index)) return damaged(path, RW_LIST_SOURCE_HELDOUT, "has impossible values");
    return RW_OK;
}

rw_status rw_dataset_index_read(int descriptor, const char *path, const rw_dataset_header *header,
                                rw_dataset_index *out)
{
    rw_status status = RW_OK;
    memory_list lists[RW_DATASET_LISTS];
    const rw_list_extent *extents = header->lists;
    *out = (rw_dataset_index){.name_bytes = header->name_bytes};
    out->document_count = extents[RW_LIST_DOCUMENTS].bytes / 8;
    out->heldout_count = extents[RW_LIST_HELDOUT].bytes / sizeof(rw_token_range);
    out->chunk_count = extents[RW_LIST_CHUNK_SIZES].bytes / 8;
    out->source_count = extents[RW_LIST_SOURCE_SIZES].bytes / 8;
    lists_of(out, lists);
    for (int i = 0; i < RW_DATASET_LISTS; i++)
        RW_TRY_DONE(read_list(descriptor, path, (rw_list_name)i, &extents[i], &lists[i]));
    RW_TRY_DONE(check(out, path, header));
done:
    if (status != RW_OK) rw_dataset_index_free(out);
    return status;
}

/* ---- What they say ------------------------------------------------------------ */

static uint64_t token_of_document(const rw_dataset_index *index, uint64_t document, uint64_t tokens)
{
    return document < index->document_count ? index->documents[document] : tokens;
}

rw_token_range rw_dataset_index_source(const rw_dataset_index *index, size_t source,
                                       uint64_t tokens)
{
    bool last = source + 1 == index->source_count;
    uint64_t after = last ? index->document_count : index->source_documents[source + 1];
    return (rw_token_range){
        token_of_document(index, index->source_documents[source], tokens),
        token_of_document(index, after, tokens),
    };
}

const char *rw_dataset_index_name(const rw_dataset_index *index, size_t source)
{
    return index->source_names + source * index->name_bytes;
}

uint64_t rw_dataset_index_heldout(const rw_dataset_index *index)
{
    uint64_t tokens = 0;
    for (size_t i = 0; i < index->heldout_count; i++)
        tokens += index->heldout[i].end - index->heldout[i].begin;
    return tokens;
}

void rw_dataset_index_free(rw_dataset_index *index)
{
    memory_list lists[RW_DATASET_LISTS];
    lists_of(index, lists);
    for (int i = 0; i < RW_DATASET_LISTS; i++) rw_free(lists[i].pointer);
    *index = (rw_dataset_index){0};
}
