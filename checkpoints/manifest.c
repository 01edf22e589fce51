#include "checkpoints/manifest.h"

#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"

static rw_status copy_tokens(const rw_checkpoint_tokens *tokens, rw_manifest *out)
{
    rw_checkpoint_tokens *own = &out->about.tokens;
    if (!tokens->kind) return RW_OK;
    RW_TRY(rw_strdup(tokens->kind, &out->token_kind));
    RW_TRY(rw_strdup(tokens->alphabet ? tokens->alphabet : "", &out->alphabet));
    own->kind = out->token_kind;
    own->alphabet = out->alphabet;
    return RW_OK;
}

rw_status rw_manifest_new(const rw_checkpoint_meta *meta, const char *dtype, rw_manifest **out)
{
    rw_status status = RW_OK;
    rw_manifest *manifest = NULL;
    RW_TRY_DONE(rw_alloc(1, sizeof *manifest, "a manifest", &manifest));
    RW_TRY_DONE(rw_strdup(meta->config ? meta->config : "", &manifest->config));
    RW_TRY_DONE(rw_strdup(meta->model ? meta->model : "", &manifest->model));
    if (meta->kernels) RW_TRY_DONE(rw_strdup(meta->kernels, &manifest->kernels));
    RW_TRY_DONE(rw_strdup(dtype, &manifest->dtype));
    manifest->about = *meta;
    manifest->about.config = manifest->config;
    manifest->about.model = manifest->model;
    manifest->about.kernels = manifest->kernels;
    RW_TRY_DONE(copy_tokens(&meta->tokens, manifest));
done:
    if (status != RW_OK) rw_manifest_destroy(&manifest);
    *out = manifest;
    return status;
}

void rw_manifest_destroy(rw_manifest **manifest)
{
    rw_manifest *m = *manifest;
    if (!m) return;
    for (size_t i = 0; i < m->file_count; i++) rw_free(&m->files[i].name);
    for (size_t i = 0; i < m->tensor_count; i++) rw_free(&m->tensors[i].name);
    rw_free(&m->files);
    rw_free(&m->tensors);
    rw_free(&m->segments);
    rw_free(&m->config);
    rw_free(&m->model);
    rw_free(&m->kernels);
    rw_free(&m->token_kind);
    rw_free(&m->alphabet);
    rw_free(&m->dtype);
    rw_free(manifest);
}

long rw_manifest_find(const rw_manifest *manifest, const char *name)
{
    size_t low = 0, high = manifest->tensor_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(manifest->tensors[middle].name, name);
        if (order == 0) return (long)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

rw_block rw_manifest_block(const rw_manifest *manifest, const rw_extent *segment)
{
    const rw_manifest_tensor *tensor = &manifest->tensors[segment->tensor];
    rw_block block = {
        .name = tensor->name, .element = rw_dtype_bytes(manifest->dtype), .dims = tensor->dims};
    memcpy(block.shape, tensor->shape, sizeof block.shape);
    block.shape[0] = segment->end - segment->begin;
    return block;
}

size_t rw_manifest_file_end(const rw_manifest *manifest, size_t first)
{
    size_t last = first;
    while (last < manifest->segment_count &&
           manifest->segments[last].file == manifest->segments[first].file)
        last++;
    return last;
}

size_t rw_manifest_tensor_bytes(const rw_manifest *manifest, size_t tensor)
{
    const rw_manifest_tensor *t = &manifest->tensors[tensor];
    return rw_shape_size(t->dims, t->shape) * rw_dtype_bytes(manifest->dtype);
}

uint64_t rw_manifest_file_bytes(const rw_manifest *manifest)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < manifest->file_count; i++) bytes += manifest->files[i].bytes;
    return bytes;
}
