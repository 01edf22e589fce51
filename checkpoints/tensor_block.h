/* A block of a tensor's rows, as one HDF5 dataset holds it, and its chunks.
 *
 * Chunks have the shape (1, .., 1, k, full, .., full): each is one run of the
 * block's row-major memory, and in their order the runs lie end to end.
 *
 *   block (rows, cols), k rows a chunk:   | chunk 0 | chunk 1 | .. | last: padded with zeros |
 */
#ifndef RW_TENSOR_BLOCK_H
#define RW_TENSOR_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoints/checkpoint.h"

typedef struct {
    const char *name; /* of the tensor and of its datasets */
    size_t element;   /* bytes of an element, 4 or 8: IEEE floats */
    int dims;
    size_t shape[RW_MAX_DIMS];
} rw_block;

typedef struct {
    size_t shape[RW_MAX_DIMS]; /* of every chunk */
    size_t bytes;              /* of every chunk, padding included */
    size_t count;
    int axis;       /* the axis along which the block is cut */
    size_t run;     /* indices along the axis in a chunk: k */
    size_t inner;   /* bytes of an index along the axis */
    size_t per_run; /* chunks along the axis */
} rw_chunks;

typedef struct {
    size_t offset[RW_MAX_DIMS]; /* of its first element in the block */
    size_t begin, bytes;        /* the run in the block's memory, without padding */
} rw_chunk;

/* Cuts a block into chunks of at most `limit` bytes. */
void rw_chunks_plan(const rw_block *block, size_t limit, rw_chunks *out);
/* The index-th of them. */
rw_chunk rw_chunk_at(const rw_block *block, const rw_chunks *chunks, size_t index);

/* Receives bytes of a tensor in their logical order. */
typedef rw_status (*rw_bytes_sink)(void *state, const void *bytes, size_t size);

#endif
