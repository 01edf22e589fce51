#include "checkpoints/tensor_stream.h"

#include "base/memory.h"
#include "checkpoints/data_file.h"
#include "storage/content_hash.h"

/* The streamed tensor: its extents may lie in several files. */
typedef struct {
    const char *folder;
    const rw_manifest *manifest;
    const rw_tensor_sink *sink;
    rw_hasher hasher;
    size_t tensor;
    size_t position; /* bytes of the tensor so far */
} stream;

static rw_status pass_on(void *state, const void *bytes, size_t size)
{
    stream *s = state;
    rw_hasher_add(&s->hasher, bytes, size);
    if (s->sink->take) RW_TRY(s->sink->take(s->sink->state, s->tensor, s->position, bytes, size));
    s->position += size;
    return RW_OK;
}

static rw_status stream_segment(stream *s, rw_data_file *data, const rw_extent *segment)
{
    const rw_manifest_tensor *tensor = &s->manifest->tensors[segment->tensor];
    if (segment->begin == 0) {
        rw_hasher_reset(&s->hasher);
        s->tensor = segment->tensor;
        s->position = 0;
    }
    rw_block block = rw_manifest_block(s->manifest, segment);
    RW_TRY(rw_data_file_read(data, &block, segment->offset, segment->offset + segment->bytes,
                             pass_on, s));
    if (segment->end == tensor->shape[0] && rw_hasher_value(&s->hasher) != tensor->hash)
        return rw_fail(RW_ERROR,
                       "%s/%s is damaged: tensor %s has not the hash that it was saved with; use "
                       "an older checkpoint",
                       s->folder, s->manifest->files[segment->file].name, tensor->name);
    return RW_OK;
}

static bool wanted(const stream *s, const rw_extent *segment)
{
    return !s->sink->wants || s->sink->wants(s->sink->state, segment->tensor);
}

/* Streams extents first..last - 1, all in the same file. */
static rw_status stream_file(stream *s, size_t first, size_t last)
{
    rw_status status = RW_OK;
    const rw_extent *segments = s->manifest->segments;
    size_t file = segments[first].file;
    unsigned char *bytes;
    rw_data_file *data = NULL;
    bool damaged;
    RW_TRY(rw_stored_file_load(s->folder, s->manifest, file, &bytes, &damaged));
    RW_TRY(rw_data_file_new(s->folder, s->manifest->files[file].name, &bytes,
                            s->manifest->files[file].bytes, &data));
    for (size_t i = first; i < last; i++)
        if (wanted(s, &segments[i])) RW_TRY_DONE(stream_segment(s, data, &segments[i]));
done:
    rw_data_file_destroy(&data);
    return status;
}

rw_status rw_tensors_stream(const char *folder, const rw_manifest *manifest,
                            const rw_tensor_sink *sink)
{
    stream s = {.folder = folder, .manifest = manifest, .sink = sink};
    for (size_t first = 0, last; first < manifest->segment_count; first = last) {
        bool any = false;
        last = rw_manifest_file_end(manifest, first);
        for (size_t i = first; i < last; i++) any = any || wanted(&s, &manifest->segments[i]);
        if (any) RW_TRY(stream_file(&s, first, last));
    }
    return RW_OK;
}
