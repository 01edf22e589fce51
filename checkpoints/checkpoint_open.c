#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/tensor_stream.h"

rw_status rw_checkpoint_open(const char *path, rw_checkpoint **out)
{
    char *dir;
    bool step, damaged;
    *out = NULL;
    RW_TRY(rw_checkpoint_locate(path, &dir, &step));
    rw_status status = step ? rw_checkpoint_load(dir, out, &damaged)
                            : rw_checkpoint_newest(dir, UINT64_MAX, 1, out);
    if (status == RW_OK && !*out) status = rw_no_checkpoint("undamaged ", dir);
    rw_free(&dir);
    return status;
}

void rw_checkpoint_close(rw_checkpoint **checkpoint)
{
    if (*checkpoint) {
        rw_manifest_destroy(&(*checkpoint)->manifest);
        rw_free(&(*checkpoint)->folder);
    }
    rw_free(checkpoint);
}

const char *rw_checkpoint_path(const rw_checkpoint *checkpoint)
{
    return checkpoint->folder;
}

void rw_checkpoint_identity(const rw_checkpoint *checkpoint, char out[RW_CHECKPOINT_IDENTITY])
{
    const rw_manifest *m = checkpoint->manifest;
    snprintf(out, RW_CHECKPOINT_IDENTITY, "step %" PRIu64 ", digest %016" PRIx64, m->about.step,
             m->digest);
}

const rw_checkpoint_meta *rw_checkpoint_about(const rw_checkpoint *checkpoint)
{
    return &checkpoint->manifest->about;
}

int rw_checkpoint_count(const rw_checkpoint *checkpoint)
{
    return (int)checkpoint->manifest->tensor_count;
}

rw_tensor rw_checkpoint_tensor(const rw_checkpoint *checkpoint, int index)
{
    const rw_manifest_tensor *tensor = &checkpoint->manifest->tensors[index];
    rw_tensor about = {.name = tensor->name, .dims = tensor->dims};
    memcpy(about.shape, tensor->shape, sizeof about.shape);
    return about;
}

static bool same_shape(const rw_tensor *wanted, const rw_manifest_tensor *stored)
{
    return wanted->dims == stored->dims &&
           memcmp(wanted->shape, stored->shape, sizeof(size_t) * (size_t)stored->dims) == 0;
}

static rw_status another_model(const rw_checkpoint *checkpoint, const rw_tensor *wanted, long found)
{
    char shape[RW_SHAPE_TEXT], stored[RW_SHAPE_TEXT];
    rw_shape_text(wanted->dims, wanted->shape, shape);
    if (found < 0)
        return rw_fail(RW_ERROR,
                       "%s is of another model: it has no tensor %s, which this one wants with "
                       "shape %s; use the configuration that it was trained with",
                       checkpoint->folder, wanted->name, shape);
    const rw_manifest_tensor *tensor = &checkpoint->manifest->tensors[found];
    return rw_fail(RW_ERROR,
                   "%s is of another model: %s has shape %s there and %s in this one; use the "
                   "configuration that it was trained with",
                   checkpoint->folder, wanted->name,
                   rw_shape_text(tensor->dims, tensor->shape, stored), shape);
}

/* Fills targets[i] with the requested tensor for the manifest's i-th tensor. */
static rw_status match(const rw_checkpoint *checkpoint, const rw_tensor *tensors, int count,
                       const rw_tensor **targets)
{
    for (int i = 0; i < count; i++) {
        long found = rw_manifest_find(checkpoint->manifest, tensors[i].name);
        if (found < 0 || !same_shape(&tensors[i], &checkpoint->manifest->tensors[found]))
            return another_model(checkpoint, &tensors[i], found);
        if (targets[found])
            return rw_fail(RW_ERROR, "tensor %s is asked for twice: names must be unique",
                           tensors[i].name);
        targets[found] = &tensors[i];
    }
    return RW_OK;
}

static bool is_target(void *state, size_t tensor)
{
    return ((const rw_tensor **)state)[tensor] != NULL;
}

/* Copies the part of bytes [begin, begin + size) of the tensor that this rank holds. */
static rw_status fill_target(void *state, size_t tensor, size_t begin, const void *bytes,
                             size_t size)
{
    const rw_tensor *to = ((const rw_tensor **)state)[tensor];
    size_t first = to->sharded ? to->begin * sizeof(real) : 0, last = begin + size;
    size_t from = begin > first ? begin : first;
    if (to->sharded && to->end * sizeof(real) < last) last = to->end * sizeof(real);
    if (from < last)
        memcpy((unsigned char *)to->data + (from - first),
               (const unsigned char *)bytes + (from - begin), last - from);
    return RW_OK;
}

rw_status rw_checkpoint_read(rw_checkpoint *checkpoint, const rw_tensor *tensors, int count)
{
    const rw_manifest *manifest = checkpoint->manifest;
    const rw_tensor **targets = NULL;
    if (strcmp(manifest->dtype, RW_REAL_NAME) != 0)
        return rw_fail(RW_ERROR,
                       "%s holds %s, this program computes in %s: use the one that "
                       "wrote it",
                       checkpoint->folder, manifest->dtype, RW_REAL_NAME);
    RW_TRY(rw_alloc(manifest->tensor_count, sizeof *targets, "the tensors to read", &targets));
    rw_status status = match(checkpoint, tensors, count, targets);
    rw_tensor_sink sink = {.wants = is_target, .take = fill_target, .state = targets};
    if (status == RW_OK) status = rw_tensors_stream(checkpoint->folder, manifest, &sink);
    rw_free(&targets);
    return status;
}
