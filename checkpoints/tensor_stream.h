/* Reads the tensors of a checkpoint, file by file, with one image in memory at a time. Every hash
 * is checked: of a file before its contents, of a tensor at its end. Without HDF5. Not collective.
 */
#ifndef RW_TENSOR_STREAM_H
#define RW_TENSOR_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "checkpoints/manifest.h"

/* Who receives tensors. */
typedef struct {
    bool (*wants)(void *state, size_t tensor); /* NULL: all of them */
    /* Takes `size` bytes from byte `begin` of the tensor on; runs come in order. NULL: only verify.
     */
    rw_status (*take)(void *state, size_t tensor, size_t begin, const void *bytes, size_t size);
    void *state;
} rw_tensor_sink;

/* Streams the tensors of the checkpoint in `folder` into the sink, in the order
 * of their names. */
rw_status rw_tensors_stream(const char *folder, const rw_manifest *manifest,
                            const rw_tensor_sink *sink);

/* Reads a file of the checkpoint and checks its size and hash; the caller frees *bytes. If they are
 * wrong, *damaged is set, and the message names the file and the first damaged tensor. */
rw_status rw_stored_file_load(const char *folder, const rw_manifest *manifest, size_t file,
                              unsigned char **bytes, bool *damaged);

/* Checks size and hash of every file. */
rw_status rw_stored_files_check(const char *folder, const rw_manifest *manifest, bool *damaged);

#endif
