/* Reads a manifest: its own hash is checked before its contents, and every number is checked as
 * well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/manifest.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"

#define TENSORS_MAX_BYTES ((uint64_t)1 << 53) /* of all tensors */
#define FRAME_MIN_BYTES   ((uint64_t)9)       /* bytes of the shortest zstd frame with a size */
#define LAYOUT_MAX        1000000000          /* ranks, threads */

/* An error in the text: place and reason. */
typedef struct {
    const char *path;
    bool *damaged;
} reader;

static rw_status damage(const reader *in, const char *what)
{
    *in->damaged = true;
    return rw_fail(RW_ERROR,
                   "%s is damaged: %s; restore it from a copy, or use an older checkpoint",
                   in->path, what);
}

static rw_status out_of_memory(const reader *in)
{
    return rw_fail(RW_ERROR, "out of memory: reading %s; free some memory", in->path);
}

static rw_status check_own_hash(const reader *in, const char *text, size_t size)
{
    char hash[RW_HASH_TEXT], tail[RW_MANIFEST_TAIL_BYTES + 1];
    if (size < RW_MANIFEST_TAIL_BYTES) return damage(in, "it is cut off");
    size_t length = size - RW_MANIFEST_TAIL_BYTES;
    snprintf(tail, sizeof tail, RW_MANIFEST_TAIL, rw_hash_text(rw_hash(text, length), hash));
    if (memcmp(text + length, tail, RW_MANIFEST_TAIL_BYTES) != 0)
        return damage(in, "its hash is not that of its contents");
    return RW_OK;
}

/* A count or size that JSON keeps exact. */
static bool count_of(json_int_t value, uint64_t *out)
{
    *out = (uint64_t)value;
    return value >= 0 && (uint64_t)value <= RW_STEP_MAX;
}

static rw_status read_version(const reader *in, const json_t *root)
{
    const char *format = "";
    json_int_t version = 0;
    if (json_unpack((json_t *)root, "{s:s, s:I}", "format", &format, "version", &version) < 0 ||
        strcmp(format, RW_CHECKPOINT_FORMAT) != 0 || version < 1)
        return damage(in, "it is not the manifest of a checkpoint");
    if (version > RW_CHECKPOINT_VERSION)
        return rw_fail(
            RW_USAGE,
            "%s is of format version %" JSON_INTEGER_FORMAT
            ", this program reads versions up to %d: use the newer ropewalk that wrote it",
            in->path, version, RW_CHECKPOINT_VERSION);
    return RW_OK;
}

/* The layout of the writer, for the record. */
static rw_status read_layout(const reader *in, json_t *root, rw_checkpoint_meta *about)
{
    json_int_t dp, sp, threads;
    if (json_unpack(root, "{s:{s:I, s:I, s:I}}", "layout", "dp", &dp, "sp", &sp, "threads",
                    &threads) < 0 ||
        dp < 1 || sp < 1 || threads < 1 || dp > LAYOUT_MAX || sp > LAYOUT_MAX ||
        threads > LAYOUT_MAX)
        return damage(in, "the layout of its writer is missing or impossible");
    about->dp = (int)dp;
    about->sp = (int)sp;
    about->threads = (int)threads;
    return RW_OK;
}

/* How training went so far; older programs did not say. */
static rw_status read_progress(const reader *in, const json_t *root, rw_checkpoint_meta *about)
{
    json_int_t tokens = -1, in_a_row = 0, rollbacks = 0, sequences = 0, running = 0;
    json_t *progress = json_object_get(root, "progress");
    json_t *heldout = json_object_get(progress, "heldout_loss");
    if (!progress) return RW_OK;
    about->counts_tokens = json_object_get(progress, "tokens_seen") != NULL;
    about->known_good = json_is_true(json_object_get(progress, "known_good"));
    about->evaluated = heldout != NULL;
    about->heldout_loss = json_number_value(heldout);
    if (json_unpack(progress, "{s?I, s?I, s?I, s?I, s?I, s?F, s?F, s?F}", "tokens_seen", &tokens,
                    "skipped_in_a_row", &in_a_row, "rollbacks", &rollbacks, "skipped_sequences",
                    &sequences, "running_count", &running, "running_loss", &about->running_loss,
                    "running_jump", &about->running_jump, "last_loss", &about->last_loss) < 0 ||
        (about->counts_tokens && !count_of(tokens, &about->tokens_seen)) ||
        !count_of(in_a_row, &about->skipped_in_a_row) || !count_of(rollbacks, &about->rollbacks) ||
        !count_of(sequences, &about->skipped_sequences) ||
        !count_of(running, &about->running_count) || (heldout && !json_is_number(heldout)))
        return damage(in, "an entry about its progress is of another type, or impossible");
    return RW_OK;
}

static bool is_kind(const rw_checkpoint_tokens *t)
{
    size_t letters = strlen(t->alphabet);
    if (strcmp(t->kind, "bytes") == 0) return t->vocab == 256 && letters == 0;
    if (strcmp(t->kind, "letters") == 0) return letters > 0 && (size_t)t->vocab == letters;
    if (strcmp(t->kind, "ids") == 0) return t->vocab > 0 && letters == 0;
    return strcmp(t->kind, "features") == 0 && t->vocab == 0 && letters == 0;
}

/* The meaning of tokens; an older checkpoint lacks the entry. */
static rw_status read_tokens(const reader *in, json_t *entry, rw_checkpoint_tokens *out)
{
    if (!entry) return RW_OK;
    if (json_unpack(entry, "{s:s, s:s, s:i, s:i, s:i, s:i}", "kind", &out->kind, "alphabet",
                    &out->alphabet, "vocab", &out->vocab, "features", &out->features,
                    "target_vocab", &out->target_vocab, "target_features",
                    &out->target_features) < 0 ||
        !is_kind(out) || out->features < 0 || (out->vocab == 0) == (out->features == 0) ||
        out->target_vocab < 0 || out->target_features < 0 ||
        (out->target_vocab == 0) == (out->target_features == 0))
        return damage(in, "what it says of the tokens is impossible");
    return RW_OK;
}

static rw_status read_about(const reader *in, json_t *root, rw_manifest **out)
{
    const char *seed, *fingerprint, *config_hash, *dtype, *digest;
    rw_checkpoint_meta about = {0};
    json_int_t step, seen, skipped;
    uint64_t hash, total;
    if (json_unpack(root, "{s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "step", &step,
                    "sequences_seen", &seen, "skipped_steps", &skipped, "seed", &seed,
                    "data_fingerprint", &fingerprint, "model", &about.model, "config",
                    &about.config, "config_hash", &config_hash, "dtype", &dtype, "digest",
                    &digest) < 0)
        return damage(in, "an entry about the run is missing or of another type");
    RW_TRY(read_layout(in, root, &about));
    if (!count_of(step, &about.step) || !count_of(seen, &about.sequences_seen) ||
        !count_of(skipped, &about.skipped_steps) || !rw_hash_parse(seed, &about.seed) ||
        !rw_hash_parse(fingerprint, &about.data_fingerprint) || rw_dtype_bytes(dtype) == 0 ||
        !rw_hash_parse(config_hash, &hash) || !rw_hash_parse(digest, &total) ||
        hash != rw_hash(about.config, strlen(about.config)))
        return damage(in, "an entry about the run has an impossible value");
    RW_TRY(read_progress(in, root, &about));
    RW_TRY(read_tokens(in, json_object_get(root, "tokens"), &about.tokens));
    about.kernels = json_string_value(json_object_get(root, "kernels"));
    RW_TRY(rw_manifest_new(&about, dtype, out));
    (*out)->digest = total;
    return RW_OK;
}

/* The files are data-0.h5, data-1.h5, ..., index.h5: no other names, none twice. */
static rw_status read_file(const reader *in, json_t *entry, size_t index, bool last,
                           rw_manifest_file *file)
{
    const char *name, *hash;
    char wanted[32];
    json_int_t bytes;
    snprintf(wanted, sizeof wanted, "data-%zu.h5", index);
    if (json_unpack(entry, "{s:s, s:I, s:s}", "name", &name, "bytes", &bytes, "hash", &hash) < 0 ||
        !count_of(bytes, &file->bytes) || !rw_hash_parse(hash, &file->hash) ||
        strcmp(name, last ? RW_INDEX_FILE : wanted) != 0)
        return damage(in, "an entry of its list of files is impossible");
    return rw_strdup(name, &file->name);
}

static rw_status read_files(const reader *in, json_t *list, rw_manifest *out)
{
    size_t count = json_array_size(list);
    if (count == 0) return damage(in, "it lists no files");
    RW_TRY(rw_alloc(count, sizeof *out->files, "the files of a checkpoint", &out->files));
    out->file_count = count;
    for (size_t i = 0; i < count; i++)
        RW_TRY(read_file(in, json_array_get(list, i), i, i + 1 == count, &out->files[i]));
    return RW_OK;
}

static rw_status read_shape(const reader *in, json_t *list, size_t element, rw_manifest_tensor *out)
{
    size_t dims = json_array_size(list);
    uint64_t bytes = element;
    if (dims < 1 || dims > RW_MAX_DIMS) return damage(in, "a tensor has an impossible shape");
    out->dims = (int)dims;
    for (size_t d = 0; d < dims; d++) {
        json_t *extent = json_array_get(list, d);
        uint64_t value;
        if (!json_is_integer(extent) || !count_of(json_integer_value(extent), &value) ||
            value == 0 || value > TENSORS_MAX_BYTES / bytes)
            return damage(in, "a tensor has an impossible shape");
        out->shape[d] = value;
        bytes *= value;
    }
    return RW_OK;
}

/* Can so many bytes of a file hold the frames of the segment's chunks? A few bytes cannot
 * stand for terabytes. */
static rw_status check_room(const reader *in, const rw_manifest *out, const rw_extent *segment)
{
    rw_block block = rw_manifest_block(out, segment);
    rw_chunks chunks;
    rw_chunks_plan(&block, RW_CHUNK_MAX_BYTES, &chunks);
    if (chunks.count <= segment->bytes / FRAME_MIN_BYTES) return RW_OK;
    return damage(in, "a segment of a tensor is too short for its rows");
}

/* Segments must follow each other: rows without gap, files in order. */
static rw_status read_segment(const reader *in, json_t *entry, rw_manifest *out, rw_extent *last)
{
    rw_extent *segment = &out->segments[out->segment_count];
    const char *file, *hash;
    json_int_t begin, end, offset, bytes;
    uint64_t from, to, stored;
    if (json_unpack(entry, "{s:s, s:[II], s:I, s:I, s:s}", "file", &file, "rows", &begin, &end,
                    "offset", &offset, "bytes", &bytes, "hash", &hash) < 0 ||
        !count_of(begin, &from) || !count_of(end, &to) || !count_of(offset, &segment->offset) ||
        !count_of(bytes, &segment->bytes) || !rw_hash_parse(hash, &segment->hash))
        return damage(in, "a segment of a tensor is impossible");
    *segment = (rw_extent){last->tensor,    last->file,     from,         to,
                           segment->offset, segment->bytes, segment->hash};
    while (segment->file + 1 < out->file_count && strcmp(out->files[segment->file].name, file) != 0)
        segment->file++;
    if (segment->file + 1 >= out->file_count || from != last->end || to <= from)
        return damage(in, "the segments of a tensor do not follow each other");
    stored = out->files[segment->file].bytes;
    if (segment->offset > stored || segment->bytes > stored - segment->offset)
        return damage(in, "a segment of a tensor ends outside its file");
    *last = *segment;
    out->segment_count++;
    return check_room(in, out, segment);
}

static rw_status read_tensor(const reader *in, json_t *entry, rw_manifest *out, rw_extent *last)
{
    const char *name, *hash;
    json_t *shape, *segments;
    rw_manifest_tensor *tensor = &out->tensors[out->tensor_count];
    if (json_unpack(entry, "{s:s, s:o, s:s, s:o}", "name", &name, "shape", &shape, "hash", &hash,
                    "segments", &segments) < 0 ||
        !rw_tensor_name_valid(name) || !rw_hash_parse(hash, &tensor->hash))
        return damage(in, "an entry of its list of tensors is impossible");
    if (out->tensor_count > 0 && strcmp(tensor[-1].name, name) >= 0)
        return damage(in, "its tensors are not in the order of their names");
    if (!json_is_array(shape) || !json_is_array(segments))
        return damage(in, "an entry of its list of tensors is impossible");
    RW_TRY(read_shape(in, shape, rw_dtype_bytes(out->dtype), tensor));
    RW_TRY(rw_strdup(name, &tensor->name));
    last->tensor = out->tensor_count++;
    last->end = 0;
    for (size_t i = 0; i < json_array_size(segments); i++)
        RW_TRY(read_segment(in, json_array_get(segments, i), out, last));
    if (last->end != tensor->shape[0]) return damage(in, "a tensor is not covered by its segments");
    return RW_OK;
}

static size_t count_segments(json_t *tensors)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(tensors); i++)
        count += json_array_size(json_object_get(json_array_get(tensors, i), "segments"));
    return count;
}

static int by_place(const void *a, const void *b)
{
    const rw_extent *x = *(const rw_extent *const *)a, *y = *(const rw_extent *const *)b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Two extents with the same beginning would be the same chunks twice. */
static rw_status check_places(const reader *in, const rw_manifest *out)
{
    const rw_extent **sorted;
    rw_status status = RW_OK;
    RW_TRY(rw_alloc(out->segment_count, sizeof *sorted, "the segments of a checkpoint", &sorted));
    for (size_t i = 0; i < out->segment_count; i++) sorted[i] = &out->segments[i];
    if (out->segment_count) qsort(sorted, out->segment_count, sizeof *sorted, by_place);
    for (size_t i = 1; status == RW_OK && i < out->segment_count; i++)
        if (by_place(&sorted[i - 1], &sorted[i]) == 0)
            status = damage(in, "two segments of tensors lie at the same place");
    rw_free(&sorted);
    return status;
}

static rw_status check_all(const reader *in, const rw_manifest *out)
{
    uint64_t left = TENSORS_MAX_BYTES;
    for (size_t i = 0; i < out->tensor_count; i++) {
        uint64_t bytes = rw_manifest_tensor_bytes(out, i);
        if (bytes > left) return damage(in, "its tensors are larger than any file system");
        left -= bytes;
    }
    return check_places(in, out);
}

static rw_status read_tensors(const reader *in, json_t *list, rw_manifest *out)
{
    size_t count = json_array_size(list);
    rw_extent last = {0};
    if (!json_is_array(list)) return damage(in, "it has no list of tensors");
    RW_TRY(rw_alloc(count, sizeof *out->tensors, "the tensors of a checkpoint", &out->tensors));
    RW_TRY(rw_alloc(count_segments(list), sizeof *out->segments, "the segments of a checkpoint",
                    &out->segments));
    for (size_t i = 0; i < count; i++) RW_TRY(read_tensor(in, json_array_get(list, i), out, &last));
    return check_all(in, out);
}

rw_status rw_manifest_parse(const char *text, size_t size, const char *path, rw_manifest **out,
                            bool *damaged)
{
    rw_status status = RW_OK;
    reader in = {path, damaged};
    json_t *root = NULL;
    json_error_t error;
    *out = NULL;
    *damaged = false;
    RW_TRY_DONE(check_own_hash(&in, text, size));
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        RW_TRY_DONE(json_error_code(&error) == json_error_out_of_memory ? out_of_memory(&in)
                                                                        : damage(&in, error.text));
    RW_TRY_DONE(read_version(&in, root));
    RW_TRY_DONE(read_about(&in, root, out));
    RW_TRY_DONE(read_files(&in, json_object_get(root, "files"), *out));
    RW_TRY_DONE(read_tensors(&in, json_object_get(root, "tensors"), *out));
done:
    json_decref(root);
    if (status != RW_OK) rw_manifest_destroy(out);
    return status;
}

rw_status rw_manifest_load(const char *folder, rw_manifest **out, bool *damaged)
{
    char *path = NULL;
    unsigned char *text = NULL;
    size_t size;
    rw_status status = RW_OK;
    *out = NULL;
    *damaged = false;
    RW_TRY_DONE(rw_path_join(folder, RW_MANIFEST_FILE, &path));
    RW_TRY_DONE(rw_file_read(path, RW_MANIFEST_MAX_BYTES, &text, &size, damaged));
    RW_TRY_DONE(rw_manifest_parse((const char *)text, size, path, out, damaged));
done:
    rw_free(&text);
    rw_free(&path);
    return status;
}
