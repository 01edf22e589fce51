/* Where the chunks of the datasets of a data file lie, found without HDF5: HDF5 trusts the
 * files that it opens, and a checkpoint may come from anywhere.
 *
 * HDF5 1.8 keeps the places of a dataset's chunks in a B-tree. Its leaves, linked to the
 * right, begin with a signature, so that they can be found without the structures above:
 *
 *   "TREE" | 1 | 0 | entries (2) | left leaf (8) | right leaf (8) | entry | entry | ... | key
 *   entry: key, address of the chunk (8)
 *   key:   bytes of the chunk (4) | filters left out (4) | its first index along each axis,
 *          and 0 (8 each)
 *
 * All numbers are little-endian. Nothing in the file is believed: what does not fit is no
 * leaf. Not collective. */
#ifndef RW_CHUNK_INDEX_H
#define RW_CHUNK_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoints/tensor_block.h"

typedef struct rw_chunk_index rw_chunk_index;

/* A stored chunk: the place of its frame in the file. */
typedef struct {
    size_t chunk; /* its index in the block, as in rw_chunk_at */
    size_t address, bytes;
} rw_chunk_place;

/* The index of a file in memory; borrows `bytes`. */
rw_status rw_chunk_index_new(const unsigned char *bytes, size_t size, rw_chunk_index **out);
void rw_chunk_index_destroy(rw_chunk_index **index);

/* The chunks of the block with frames in begin..end - 1 of the file, in their order: chunks->count
 * chunks, or *out is NULL: the file has no such dataset. The caller frees *out. */
rw_status rw_chunk_index_find(const rw_chunk_index *index, const rw_block *block,
                              const rw_chunks *chunks, uint64_t begin, uint64_t end,
                              rw_chunk_place **out);

#endif
