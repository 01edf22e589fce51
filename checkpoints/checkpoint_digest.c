#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/content_hash.h"
#include "checkpoints/tensor_stream.h"

#define LINE_SIZE (RW_TENSOR_NAME_MAX + RW_SHAPE_TEXT + 64)

static size_t tensor_line(const rw_manifest *manifest, size_t index, char line[LINE_SIZE])
{
    const rw_manifest_tensor *tensor = &manifest->tensors[index];
    char shape[RW_SHAPE_TEXT];
    return (size_t)snprintf(line, LINE_SIZE, "%s %s %s %016" PRIx64 "\n", tensor->name,
                            manifest->dtype, rw_shape_text(tensor->dims, tensor->shape, shape),
                            tensor->hash);
}

rw_status rw_digest_of(const rw_manifest *manifest, uint64_t *digest)
{
    const rw_checkpoint_meta *about = &manifest->about;
    char line[LINE_SIZE];
    rw_hasher *hasher;
    RW_TRY(rw_hasher_new(&hasher));
    for (size_t i = 0; i < manifest->tensor_count; i++)
        rw_hasher_add(hasher, line, tensor_line(manifest, i, line));
    int length = snprintf(line, sizeof line,
                          "step=%" PRIu64 " seed=%" PRIu64 " sequences_seen=%" PRIu64
                          " data_fingerprint=%016" PRIx64 "\n",
                          about->step, about->seed, about->sequences_seen, about->data_fingerprint);
    rw_hasher_add(hasher, line, (size_t)length);
    *digest = rw_hasher_value(hasher);
    rw_hasher_destroy(&hasher);
    return RW_OK;
}

rw_status rw_checkpoint_check(const char *folder, const rw_manifest *manifest)
{
    const rw_tensor_sink sink = {NULL, NULL, NULL};
    unsigned char *index;
    uint64_t digest;
    bool damaged;
    RW_TRY(rw_tensors_stream(folder, manifest, &sink));
    RW_TRY(rw_stored_file_load(folder, manifest, manifest->file_count - 1, &index, &damaged));
    rw_free(&index);
    RW_TRY(rw_digest_of(manifest, &digest));
    if (digest != manifest->digest)
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
    if (status == RW_OK) fprintf(out, "digest %016" PRIx64 "\n", manifest->digest);
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
