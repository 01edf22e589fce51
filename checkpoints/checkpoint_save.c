#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_commit.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/hdf5_image.h"
#include "checkpoints/tensor_gather.h"
#include "checkpoints/virtual_index.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"
#include "storage/writer_lock.h"

/* A checkpoint during its save. */
typedef struct {
    char *folder;              /* its temporary name */
    const rw_tensor **tensors; /* by name, as in the manifest */
    rw_manifest *manifest;
    rw_gather *gather; /* gets the parts of other ranks; NULL: there are none */
} saving;

/* All of the i-th tensor, until the next call. */
static const real *contents(const saving *s, size_t i)
{
    const rw_tensor *tensor = s->tensors[i];
    return s->gather && tensor->sharded ? rw_gather_fetch(s->gather, tensor) : tensor->data;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const rw_tensor *const *)a)->name, (*(const rw_tensor *const *)b)->name);
}

static rw_status check_tensor(const rw_tensor *tensor)
{
    bool sane = tensor->dims >= 1 && tensor->dims <= RW_MAX_DIMS;
    for (int d = 0; sane && d < tensor->dims; d++) sane = tensor->shape[d] > 0;
    if (!rw_tensor_name_valid(tensor->name) || !sane)
        return rw_fail(RW_ERROR,
                       "tensor \"%s\" cannot be saved: it needs a name like param/embedding and 1 "
                       "to %d dimensions, none empty",
                       tensor->name, RW_MAX_DIMS);
    return RW_OK;
}

static rw_status sort_tensors(const rw_tensor *tensors, int count, const rw_tensor ***out)
{
    RW_TRY(rw_alloc((size_t)count, sizeof **out, "the tensors to save", out));
    for (int i = 0; i < count; i++) {
        RW_TRY(check_tensor(&tensors[i]));
        (*out)[i] = &tensors[i];
    }
    if (count) qsort(*out, (size_t)count, sizeof **out, by_name);
    for (int i = 1; i < count; i++)
        if (by_name(&(*out)[i - 1], &(*out)[i]) == 0)
            return rw_fail(RW_ERROR, "two tensors to save are named %s: names must be unique",
                           (*out)[i]->name);
    return RW_OK;
}

static rw_status check_meta(const rw_checkpoint_meta *meta)
{
    const uint64_t counters[] = {meta->step,          meta->sequences_seen,   meta->skipped_steps,
                                 meta->tokens_seen,   meta->skipped_in_a_row, meta->rollbacks,
                                 meta->running_count, meta->skipped_sequences};
    bool countable = true;
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        countable = countable && counters[i] <= RW_STEP_MAX;
    if (!isfinite(meta->running_loss + meta->running_jump + meta->last_loss + meta->heldout_loss))
        return rw_fail(RW_ERROR, "step %" PRIu64 " cannot be saved: a loss of it is not finite",
                       meta->step);
    if (!countable)
        return rw_fail(RW_ERROR,
                       "step %" PRIu64 " cannot be saved: a counter of it is over 2^53; check "
                       "the data cursor",
                       meta->step);
    return RW_OK;
}

/* Lists the tensors, without the hashes of their contents, which add_segment takes. */
static rw_status list_tensors(const saving *s, size_t count)
{
    rw_manifest *manifest = s->manifest;
    RW_TRY(rw_alloc(count, sizeof *manifest->tensors, "the tensors to save", &manifest->tensors));
    manifest->tensor_count = count;
    for (size_t i = 0; i < count; i++) {
        const rw_tensor *from = s->tensors[i];
        rw_manifest_tensor *to = &manifest->tensors[i];
        RW_TRY(rw_strdup(from->name, &to->name));
        to->dims = from->dims;
        memcpy(to->shape, from->shape, sizeof to->shape);
    }
    return RW_OK;
}

/* Deals the rows out to files of about rw_image_target_bytes; a row is never
 * cut. Sets the number of data files. */
static rw_status plan_segments(rw_manifest *manifest, size_t *files)
{
    const size_t target = rw_image_target_bytes;
    size_t capacity = 0, filled = 0, file = 0;
    for (size_t i = 0; i < manifest->tensor_count; i++) {
        size_t rows = manifest->tensors[i].shape[0];
        size_t row = rw_manifest_tensor_bytes(manifest, i) / rows;
        for (size_t begin = 0, end; begin < rows; begin = end) {
            if (filled > 0 && filled + row > target) {
                file++;
                filled = 0;
            }
            size_t fit = row > target ? 1 : (target - filled) / row;
            end = rows - begin < fit ? rows : begin + fit;
            filled += (end - begin) * row;
            RW_TRY(rw_grow(&manifest->segments, &capacity, manifest->segment_count + 1,
                           sizeof *manifest->segments));
            manifest->segments[manifest->segment_count++] =
                (rw_extent){.tensor = i, .file = file, .begin = begin, .end = end};
        }
    }
    *files = manifest->segment_count ? file + 1 : 0;
    return RW_OK;
}

static rw_status list_files(rw_manifest *manifest, size_t data_files)
{
    RW_TRY(rw_alloc(data_files + 1, sizeof *manifest->files, "the files of a checkpoint",
                    &manifest->files));
    manifest->file_count = data_files + 1;
    for (size_t i = 0; i < data_files; i++) {
        char name[32];
        snprintf(name, sizeof name, "data-%zu.h5", i);
        RW_TRY(rw_strdup(name, &manifest->files[i].name));
    }
    return rw_strdup(RW_INDEX_FILE, &manifest->files[data_files].name);
}

/* Closes the image, puts it on disk, and notes its size and hash. */
static rw_status store_image(const saving *s, rw_image *image, size_t file,
                             const unsigned char **bytes)
{
    rw_manifest_file *entry = &s->manifest->files[file];
    size_t size;
    char *path;
    RW_TRY(rw_image_finish(image, bytes, &size));
    entry->bytes = size;
    entry->hash = rw_hash(*bytes, size);
    RW_TRY(rw_path_join(s->folder, entry->name, &path));
    rw_status status = rw_file_write(path, *bytes, size);
    rw_free(&path);
    return status;
}

/* The segments of a tensor follow one another, so the tensor is gathered once: the first segment
 * also hashes the whole tensor. */
static rw_status add_segment(const saving *s, rw_image *image, rw_extent *segment)
{
    rw_block block = rw_manifest_block(s->manifest, segment);
    rw_manifest_tensor *tensor = &s->manifest->tensors[segment->tensor];
    size_t size = rw_manifest_tensor_bytes(s->manifest, segment->tensor);
    size_t row = size / tensor->shape[0];
    const unsigned char *data = (const unsigned char *)contents(s, segment->tensor);
    uint64_t begin, end;
    if (segment->begin == 0) tensor->hash = rw_hash(data, size);
    RW_TRY(rw_image_add(image, &block, data + segment->begin * row, &begin, &end));
    segment->offset = begin;
    segment->bytes = end - begin;
    return RW_OK;
}

/* Writes the data file of segments first..last - 1. */
static rw_status write_data_file(const saving *s, size_t first, size_t last)
{
    rw_extent *segments = s->manifest->segments;
    rw_status status = RW_OK;
    rw_image *image;
    const unsigned char *bytes;
    size_t expected = 0;
    for (size_t i = first; i < last; i++) {
        rw_block block = rw_manifest_block(s->manifest, &segments[i]);
        expected += rw_shape_size(block.dims, block.shape) * block.element;
    }
    RW_TRY(rw_image_create(expected, &image));
    for (size_t i = first; i < last; i++) RW_TRY_DONE(add_segment(s, image, &segments[i]));
    RW_TRY_DONE(store_image(s, image, segments[first].file, &bytes));
    for (size_t i = first; i < last; i++)
        segments[i].hash = rw_hash(bytes + segments[i].offset, segments[i].bytes);
done:
    rw_image_destroy(&image);
    return status;
}

static rw_status write_index(const saving *s)
{
    rw_status status = RW_OK;
    rw_image *image;
    const unsigned char *bytes;
    RW_TRY(rw_image_create(0, &image));
    RW_TRY_DONE(rw_index_add(image, s->manifest));
    RW_TRY_DONE(store_image(s, image, s->manifest->file_count - 1, &bytes));
done:
    rw_image_destroy(&image);
    return status;
}

/* The manifest comes last, after all files that it vouches for were read back from the device; then
 * it is read back itself. */
static rw_status write_manifest(const saving *s)
{
    rw_status status = RW_OK;
    char *path = NULL, *text = NULL;
    rw_manifest *again = NULL;
    size_t size;
    bool damaged;
    RW_TRY_DONE(rw_path_join(s->folder, RW_MANIFEST_FILE, &path));
    RW_TRY_DONE(rw_manifest_write(s->manifest, &text, &size));
    RW_TRY_DONE(rw_file_write(path, text, size));
    RW_TRY_DONE(rw_manifest_load(s->folder, &again, &damaged));
done:
    rw_manifest_destroy(&again);
    rw_free(&text);
    rw_free(&path);
    return status;
}

static rw_status write_files(const saving *s)
{
    rw_manifest *manifest = s->manifest;
    for (size_t first = 0, last; first < manifest->segment_count; first = last) {
        last = rw_manifest_file_end(manifest, first);
        RW_TRY(write_data_file(s, first, last));
    }
    manifest->digest = rw_digest_of(manifest);
    RW_TRY(write_index(s));
    RW_TRY(rw_checkpoint_check(s->folder, manifest));
    return write_manifest(s);
}

static rw_status plan(saving *s, const rw_checkpoint_meta *meta, const rw_tensor *tensors,
                      int count)
{
    size_t data_files;
    RW_TRY(check_meta(meta));
    RW_TRY(sort_tensors(tensors, count, &s->tensors));
    RW_TRY(rw_manifest_new(meta, RW_REAL_NAME, &s->manifest));
    RW_TRY(list_tensors(s, (size_t)count));
    RW_TRY(plan_segments(s->manifest, &data_files));
    return list_files(s->manifest, data_files);
}

static rw_status name_attempt(const char *dir, uint64_t step, char **out)
{
    char name[RW_STEP_NAME_SIZE], *path;
    rw_step_name(step, name);
    RW_TRY(rw_path_join(dir, name, &path));
    rw_status status = rw_path_temporary(path, out);
    rw_free(&path);
    return status;
}

static rw_status write_checkpoint(const char *dir, const rw_checkpoint_meta *meta,
                                  const rw_tensor *tensors, int count, rw_gather *gather, int keep)
{
    saving s = {.gather = gather};
    bool made = false;
    rw_status status = RW_OK;
    RW_TRY_DONE(plan(&s, meta, tensors, count));
    RW_TRY_DONE(name_attempt(dir, meta->step, &s.folder));
    RW_TRY_DONE(rw_writer_locks_check());
    RW_TRY_DONE(rw_folder_make(dir));
    rw_commit_clean(dir);
    RW_TRY_DONE(rw_folder_make_new(s.folder));
    made = true;
    RW_TRY_DONE(write_files(&s));
    RW_TRY_DONE(rw_commit_promote(dir, s.folder, meta->step));
    if (keep < RW_KEEP_ALL) rw_checkpoint_prune(dir, meta->step, keep, 1, 0);
done:
    if (status != RW_OK && made) rw_folder_remove(s.folder);
    rw_manifest_destroy(&s.manifest);
    rw_free(&s.tensors);
    rw_free(&s.folder);
    return status;
}

rw_status rw_checkpoint_write(const char *dir, const rw_checkpoint_meta *meta,
                              const rw_tensor *tensors, int count, int keep)
{
    return write_checkpoint(dir, meta, tensors, count, NULL, keep);
}

rw_status rw_checkpoint_save(const rw_layout *layout, const char *dir,
                             const rw_checkpoint_meta *meta, const rw_tensor *tensors, int count,
                             int keep)
{
    rw_gather gather = {.layout = layout, .tensors = tensors, .count = count};
    rw_status status = RW_OK;
    if (layout->rank == 0) {
        status = rw_gather_open(&gather);
        if (status == RW_OK) status = write_checkpoint(dir, meta, tensors, count, &gather, keep);
        rw_gather_close(&gather);
    } else {
        rw_gather_serve(&gather);
    }
    return rw_agree(layout, status);
}
