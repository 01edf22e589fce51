#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/tensor_stream.h"
#include "storage/content_hash.h"

#define LINE_SIZE (RW_TENSOR_NAME_MAX + RW_SHAPE_TEXT + 64)

static size_t tensor_line(const rw_manifest *manifest, size_t index, char line[LINE_SIZE])
{
    const rw_manifest_tensor *tensor = &manifest->tensors[index];
    char shape[RW_SHAPE_TEXT];
    return (size_t)snprintf(line, LINE_SIZE, "%s %s %s %" RW_PRI_HASH "\n", tensor->name,
                            manifest->dtype, rw_shape_text(tensor->dims, tensor->shape, shape),
                            tensor->hash);
}

uint64_t rw_digest_of(const rw_manifest *manifest)
{
    const rw_checkpoint_meta *about = &manifest->about;
    char line[LINE_SIZE];
    rw_hasher hasher;
    rw_hasher_reset(&hasher);
    for (size_t i = 0; i < manifest->tensor_count; i++)
        rw_hasher_add(&hasher, line, tensor_line(manifest, i, line));
    int length = snprintf(line, sizeof line,
                          "step=%" PRIu64 " seed=%" PRIu64 " sequences_seen=%" PRIu64
                          " data_fingerprint=%" RW_PRI_HASH "\n",
                          about->step, about->seed, about->sequences_seen, about->data_fingerprint);
    rw_hasher_add(&hasher, line, (size_t)length);
    return rw_hasher_value(&hasher);
}

rw_status rw_checkpoint_check(const char *folder, const rw_manifest *manifest)
{
    const rw_tensor_sink sink = {NULL, NULL, NULL};
    unsigned char *index;
    bool damaged;
    RW_TRY(rw_tensors_stream(folder, manifest, &sink));
    RW_TRY(rw_stored_file_load(folder, manifest, manifest->file_count - 1, &index, &damaged));
    rw_free(&index);
    if (rw_digest_of(manifest) != manifest->digest)
        return rw_fail(RW_ERROR,
                       "%s is damaged: its digest is not the manifest's; use an older "
                       "checkpoint",
                       folder);
    return RW_OK;
}

static rw_status print_digest(const char *folder, FILE *out)
{
    char line[LINE_SIZE];
    rw_manifest *manifest;
    bool damaged;
    RW_TRY(rw_manifest_load(folder, &manifest, &damaged));
    rw_status status = rw_checkpoint_check(folder, manifest);
    for (size_t i = 0; status == RW_OK && i < manifest->tensor_count; i++) {
        tensor_line(manifest, i, line);
        fputs(line, out);
    }
    if (status == RW_OK) fprintf(out, "digest %" RW_PRI_HASH "\n", manifest->digest);
    rw_manifest_destroy(&manifest);
    return status;
}

rw_status rw_checkpoint_digest(const char *path, FILE *out)
{
    char *folder;
    RW_TRY(rw_checkpoint_folder(path, &folder));
    rw_status status = print_digest(folder, out);
    rw_free(&folder);
    return status;
}
