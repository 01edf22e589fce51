/* The manifest: the list of a checkpoint's files, the place of the rows of each tensor, and all
 * hashes; bounded in size, and ending in its own hash. */
#ifndef RW_MANIFEST_H
#define RW_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoints/checkpoint.h"
#include "checkpoints/tensor_block.h"

typedef struct {
    char *name; /* in the checkpoint's folder */
    uint64_t bytes, hash;
} rw_manifest_file;

/* Rows begin..end - 1 (along the first axis) of a tensor: one dataset. */
typedef struct {
    size_t tensor, file;          /* indices into the manifest's lists */
    size_t begin, end;            /* rows */
    uint64_t offset, bytes, hash; /* place of its frames in the file, and their hash */
} rw_extent;

typedef struct {
    char *name;
    int dims;
    size_t shape[RW_MAX_DIMS];
    uint64_t hash; /* of its logical bytes: row-major, little-endian */
} rw_manifest_tensor;

typedef struct {
    rw_checkpoint_meta about; /* texts: owned by the manifest */
    char *config, *model, *kernels, *token_kind, *alphabet;
    char *dtype; /* of all tensors */
    uint64_t digest;
    rw_manifest_file *files; /* data files in the order of segments, then the index */
    size_t file_count;
    rw_manifest_tensor *tensors; /* by name */
    size_t tensor_count;
    rw_extent *segments; /* by tensor, then by row */
    size_t segment_count;
} rw_manifest;

/* An empty manifest about `meta`, with copies of its texts. */
rw_status rw_manifest_new(const rw_checkpoint_meta *meta, const char *dtype, rw_manifest **out);
void rw_manifest_destroy(rw_manifest **manifest);

/* Index of the tensor with this name, or -1. */
long rw_manifest_find(const rw_manifest *manifest, const char *name);
/* The rows of an extent, as a dataset. Borrows the name. */
rw_block rw_manifest_block(const rw_manifest *manifest, const rw_extent *segment);
/* Index after the last extent in the same file as `first`. */
size_t rw_manifest_file_end(const rw_manifest *manifest, size_t first);
/* Bytes of a tensor; of all files. */
size_t rw_manifest_tensor_bytes(const rw_manifest *manifest, size_t tensor);
uint64_t rw_manifest_file_bytes(const rw_manifest *manifest);

/* The manifest as text, its own hash at the end; the caller frees *out. */
rw_status rw_manifest_write(const rw_manifest *manifest, char **out, size_t *size);
/* The manifest of a text; every number is checked. `path` names the manifest in messages. *damaged:
 * the text differs from the written text; a newer format fails with RW_USAGE. */
rw_status rw_manifest_parse(const char *text, size_t size, const char *path, rw_manifest **out,
                            bool *damaged);
/* Reads and parses the manifest in a checkpoint's folder. */
rw_status rw_manifest_load(const char *folder, rw_manifest **out, bool *damaged);

#endif
