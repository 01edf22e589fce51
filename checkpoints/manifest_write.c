#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/manifest.h"
#include "storage/content_hash.h"

static json_t *hash_json(uint64_t hash)
{
    char text[RW_HASH_TEXT];
    return json_string(rw_hash_text(hash, text));
}

static json_t *segment_json(const rw_manifest *manifest, const rw_extent *segment)
{
    return json_pack("{s:s, s:[II], s:I, s:I, s:o}", "file", manifest->files[segment->file].name,
                     "rows", (json_int_t)segment->begin, (json_int_t)segment->end, "offset",
                     (json_int_t)segment->offset, "bytes", (json_int_t)segment->bytes, "hash",
                     hash_json(segment->hash));
}

static json_t *segments_json(const rw_manifest *manifest, size_t tensor, size_t *next)
{
    json_t *list = json_array();
    for (; *next < manifest->segment_count && manifest->segments[*next].tensor == tensor; ++*next)
        if (json_array_append_new(list, segment_json(manifest, &manifest->segments[*next])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *shape_json(const rw_manifest_tensor *tensor)
{
    json_t *list = json_array();
    for (int d = 0; d < tensor->dims; d++)
        if (json_array_append_new(list, json_integer((json_int_t)tensor->shape[d])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *tensors_json(const rw_manifest *manifest)
{
    json_t *list = json_array();
    size_t segment = 0;
    for (size_t i = 0; i < manifest->tensor_count; i++) {
        const rw_manifest_tensor *tensor = &manifest->tensors[i];
        json_t *entry = json_pack("{s:s, s:o, s:o, s:o}", "name", tensor->name, "shape",
                                  shape_json(tensor), "hash", hash_json(tensor->hash), "segments",
                                  segments_json(manifest, i, &segment));
        if (json_array_append_new(list, entry) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *files_json(const rw_manifest *manifest)
{
    json_t *list = json_array();
    for (size_t i = 0; i < manifest->file_count; i++) {
        const rw_manifest_file *file = &manifest->files[i];
        json_t *entry = json_pack("{s:s, s:I, s:o}", "name", file->name, "bytes",
                                  (json_int_t)file->bytes, "hash", hash_json(file->hash));
        if (json_array_append_new(list, entry) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Entries that a reader may ignore: the course of the training. */
static json_t *progress_json(const rw_checkpoint_meta *about)
{
    json_t *out = json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "known_good", about->known_good,
        "skipped_in_a_row", (json_int_t)about->skipped_in_a_row, "rollbacks",
        (json_int_t)about->rollbacks, "skipped_sequences", (json_int_t)about->skipped_sequences,
        "running_count", (json_int_t)about->running_count, "running_loss", about->running_loss,
        "running_jump", about->running_jump, "last_loss", about->last_loss);
    if (out && about->counts_tokens)
        json_object_set_new(out, "tokens_seen", json_integer((json_int_t)about->tokens_seen));
    if (out && about->evaluated)
        json_object_set_new(out, "heldout_loss", json_real(about->heldout_loss));
    return out;
}

/* NULL, which leaves out the entry, if the meaning of tokens is unknown. */
static json_t *tokens_json(const rw_checkpoint_tokens *tokens)
{
    if (!tokens->kind) return NULL;
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "kind", tokens->kind, "alphabet",
                     tokens->alphabet, "vocab", tokens->vocab, "features", tokens->features,
                     "target_vocab", tokens->target_vocab, "target_features",
                     tokens->target_features);
}

static json_t *manifest_json(const rw_manifest *m)
{
    const rw_checkpoint_meta *about = &m->about;
    json_t *tokens = tokens_json(&about->tokens);
    if (!tokens && about->tokens.kind) return NULL;
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:o, s:o, s:{s:i, s:i, s:i}, s:s, s:s*, s:o*, s:s, "
                     "s:o, s:s, s:o, "
                     "s:o, s:o, s:o}",
                     "format", RW_CHECKPOINT_FORMAT, "version", RW_CHECKPOINT_VERSION, "step",
                     (json_int_t)about->step, "sequences_seen", (json_int_t)about->sequences_seen,
                     "skipped_steps", (json_int_t)about->skipped_steps, "seed",
                     hash_json(about->seed), "data_fingerprint", hash_json(about->data_fingerprint),
                     "layout", "dp", about->dp, "sp", about->sp, "threads", about->threads, "model",
                     m->model, "kernels", m->kernels, "tokens", tokens, "config", m->config,
                     "config_hash", hash_json(rw_hash(m->config, strlen(m->config))), "dtype",
                     m->dtype, "digest", hash_json(m->digest), "progress", progress_json(about),
                     "files", files_json(m), "tensors", tensors_json(m));
}

/* Puts the hash of all bytes before in front of the closing brace. */
static rw_status add_own_hash(const char *body, char **out, size_t *size)
{
    char hash[RW_HASH_TEXT];
    size_t length = strlen(body) - strlen("\n}");
    if (length + RW_MANIFEST_TAIL_BYTES > RW_MANIFEST_MAX_BYTES)
        return rw_fail(RW_ERROR,
                       "the manifest of a checkpoint would have %zu bytes, more than the %zu "
                       "allowed; use fewer tensors, or a shorter configuration",
                       length, RW_MANIFEST_MAX_BYTES);
    RW_TRY(rw_alloc(length + RW_MANIFEST_TAIL_BYTES + 1, 1, "a manifest", out));
    memcpy(*out, body, length);
    snprintf(*out + length, RW_MANIFEST_TAIL_BYTES + 1, RW_MANIFEST_TAIL,
             rw_hash_text(rw_hash(body, length), hash));
    *size = length + RW_MANIFEST_TAIL_BYTES;
    return RW_OK;
}

rw_status rw_manifest_write(const rw_manifest *manifest, char **out, size_t *size)
{
    json_t *root = manifest_json(manifest);
    char *body = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    *out = NULL;
    if (!body)
        return rw_fail(RW_ERROR, "cannot write the manifest of a checkpoint: out of memory, or the "
                                 "configuration is not UTF-8 text; check both");
    rw_status status = add_own_hash(body, out, size);
    free(body);
    return status;
}
