/* Names and limits of the checkpoint format; docs/checkpoint-format.md is the
 * specification. */
#ifndef RW_CHECKPOINT_FORMAT_H
#define RW_CHECKPOINT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoints/checkpoint.h"

#define RW_CHECKPOINT_FORMAT  "ropewalk checkpoint"
#define RW_CHECKPOINT_VERSION 1

#define RW_MANIFEST_FILE "manifest.json"
#define RW_INDEX_FILE    "index.h5"
#define RW_LATEST_FILE   "latest"
#define RW_BEST_FILE     "best"
#define RW_ASIDE_PREFIX  "set-aside-"

#define RW_MANIFEST_MAX_BYTES ((size_t)64 << 20)
#define RW_CHUNK_MAX_BYTES    ((size_t)1 << 20) /* of one HDF5 chunk, uncompressed */
#define RW_TENSOR_NAME_MAX    255
#define RW_STEP_MAX           ((uint64_t)1 << 53) /* integers that every JSON reader keeps exact */
#define RW_STEP_NAME_SIZE     64

/* The end of every manifest, of this and of later versions of the format: the hash of all bytes
 * before. */
#define RW_MANIFEST_TAIL       ",\n \"manifest_hash\": \"%s\"\n}\n"
#define RW_MANIFEST_TAIL_BYTES (sizeof RW_MANIFEST_TAIL - 1 - 2 + 16)

/* Intended tensor bytes of a data file. A file is built in memory: a save needs this much memory
 * beyond the memory of a step. Tests make it small. */
#define RW_IMAGE_TARGET_BYTES ((size_t)16 << 20)
extern size_t rw_image_target_bytes;

/* "step-00000042"; steps of more than eight digits take what they need. */
void rw_step_name(uint64_t step, char name[RW_STEP_NAME_SIZE]);
/* Is `name` the name of a step's folder? Sets *step and *aside: a folder
 * "step-N.old" was moved aside for its successor (checkpoint_commit.h). */
bool rw_step_parse(const char *name, uint64_t *step, bool *aside);
/* Is `name` a remainder of a save that died? */
bool rw_is_leftover(const char *name);

/* Is this a valid name of a tensor? Parts of printable ASCII without spaces, separated by single
 * slashes; no part is empty or of dots alone. */
bool rw_tensor_name_valid(const char *name);

/* Bytes of an element of "float32" or "float64"; 0 for other types. */
size_t rw_dtype_bytes(const char *dtype);

#define RW_SHAPE_TEXT 96
/* A shape as text: "3x4x5". Returns the buffer. */
const char *rw_shape_text(int dims, const size_t *shape, char text[RW_SHAPE_TEXT]);

/* Elements of a shape. */
size_t rw_shape_size(int dims, const size_t *shape);

#endif
