/* Reading the tensors of a checkpoint: file by file, one image in memory at a
 * time, every hash checked: a file's before it is looked into, a tensor's at its
 * end. HDF5 takes no part. Not collective. */
#ifndef RW_TENSOR_STREAM_H
#define RW_TENSOR_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "checkpoints/manifest.h"

/* Who receives tensors. */
typedef struct {
    bool (*wants)(void *state, size_t tensor); /* NULL: all of them */
    /* Takes `size` bytes that begin at byte `begin` of the tensor; runs come in
     * order. NULL: they are only verified. */
    rw_status (*take)(void *state, size_t tensor, size_t begin, const void *bytes, size_t size);
    void *state;
} rw_tensor_sink;

/* Streams the tensors of the checkpoint in `folder` into the sink, in the order
 * of their names. */
rw_status rw_tensors_stream(const char *folder, const rw_manifest *manifest,
                            const rw_tensor_sink *sink);

/* Reads a file of the checkpoint and checks its size and hash; the caller frees
 * *bytes. If they are wrong, *damaged is set, and the message names the file
 * and the first tensor that is hit. */
rw_status rw_stored_file_load(const char *folder, const rw_manifest *manifest, size_t file,
                              unsigned char **bytes, bool *damaged);

/* Checks size and hash of every file. */
rw_status rw_stored_files_check(const char *folder, const rw_manifest *manifest, bool *damaged);

#endif
