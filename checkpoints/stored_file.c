#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/tensor_stream.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"

/* Names the first tensor hit by the damage of a file: the first extent with missing frames or
 * another hash. `bytes`: the rest of the file. */
static void describe_hit(const rw_manifest *manifest, size_t file, const unsigned char *bytes,
                         size_t size, char *text, size_t room)
{
    for (size_t i = 0; i < manifest->segment_count; i++) {
        const rw_extent *segment = &manifest->segments[i];
        if (segment->file != file) continue;
        if (segment->offset + segment->bytes <= size &&
            rw_hash(bytes + segment->offset, segment->bytes) == segment->hash)
            continue;
        snprintf(text, room, "tensor %s (rows %zu to %zu) is hit",
                 manifest->tensors[segment->tensor].name, segment->begin, segment->end - 1);
        return;
    }
    snprintf(text, room, "no tensor's values are hit, but HDF5's structures are");
}

static rw_status report(const char *path, const rw_manifest *manifest, size_t file,
                        const unsigned char *bytes, size_t size)
{
    char hit[RW_TENSOR_NAME_MAX + 100], how[80];
    const rw_manifest_file *entry = &manifest->files[file];
    describe_hit(manifest, file, bytes, size, hit, sizeof hit);
    if (size != entry->bytes)
        snprintf(how, sizeof how, "%zu bytes long instead of %" PRIu64, size, entry->bytes);
    else
        snprintf(how, sizeof how, "its hash is not the manifest's");
    return rw_fail(RW_ERROR,
                   "%s is damaged: %s; %s; restore it from a copy, or use an older checkpoint",
                   path, how, hit);
}

/* The file is missing, or the device does not return it: names its first tensor too, which
 * rw_file_read cannot know. */
static rw_status report_missing(const char *path, const rw_manifest *manifest, size_t file)
{
    char cause[RW_MESSAGE_SIZE], hit[RW_TENSOR_NAME_MAX + 100];
    snprintf(cause, sizeof cause, "%s", rw_message());
    rw_clear_message();
    describe_hit(manifest, file, NULL, 0, hit, sizeof hit);
    return rw_fail(RW_ERROR, "%s is damaged: %s; %s", path, hit, cause);
}

rw_status rw_stored_file_load(const char *folder, const rw_manifest *manifest, size_t file,
                              unsigned char **bytes, bool *damaged)
{
    const rw_manifest_file *entry = &manifest->files[file];
    char *path = NULL;
    size_t size = 0;
    *bytes = NULL;
    *damaged = false;
    RW_TRY(rw_path_join(folder, entry->name, &path));
    rw_status status = rw_file_read(path, entry->bytes, bytes, &size, damaged);
    if (status != RW_OK && *damaged) status = report_missing(path, manifest, file);
    if (status == RW_OK && (size != entry->bytes || rw_hash(*bytes, size) != entry->hash)) {
        *damaged = true;
        status = report(path, manifest, file, *bytes, size);
        rw_free(bytes);
    }
    rw_free(&path);
    return status;
}

rw_status rw_stored_files_check(const char *folder, const rw_manifest *manifest, bool *damaged)
{
    *damaged = false;
    for (size_t i = 0; i < manifest->file_count; i++) {
        unsigned char *bytes;
        RW_TRY(rw_stored_file_load(folder, manifest, i, &bytes, damaged));
        rw_free(&bytes);
    }
    return RW_OK;
}
