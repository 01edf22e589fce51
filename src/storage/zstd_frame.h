/* Chunks of HDF5 datasets, each of them one zstd frame with its own checksum.
 * Frames are made and taken apart here, and HDF5 stores them as they are: the
 * filter that a dataset names only tells other programs how to read them, and
 * need not be known to this HDF5. */
#ifndef RW_ZSTD_FRAME_H
#define RW_ZSTD_FRAME_H

#include <stddef.h>

#include <hdf5.h>

#include "base/status.h"

#define RW_ZSTD_FILTER 32015 /* zstd's number in the registry of HDF5 filters */

typedef struct rw_framer rw_framer;

/* For chunks of at most `limit` bytes, compressed at zstd's `level`. One thread
 * at a time. */
rw_status rw_framer_new(size_t limit, int level, rw_framer **out);
void rw_framer_destroy(rw_framer **framer);

/* Stores a chunk of `size` bytes at `offset` of the open dataset, or reads one.
 * They return NULL, or what is wrong, which is valid until the next call; a
 * frame that is damaged, or holds another number of bytes, is wrong. The HDF5
 * lock is taken for HDF5's part alone, so that others are not kept waiting
 * while chunks are compressed. */
const char *rw_framer_write(rw_framer *framer, hid_t dataset, const hsize_t *offset,
                            const void *chunk, size_t size);
const char *rw_framer_read(rw_framer *framer, hid_t dataset, const hsize_t *offset, void *chunk,
                           size_t size);

/* The bytes of a frame of a chunk of `size` bytes, at most. */
size_t rw_frame_limit(size_t size);
/* Takes the frame apart, which must hold a chunk of exactly `size` bytes, and
 * nothing behind it. Returns as the others do. HDF5 takes no part. */
const char *rw_framer_unpack(rw_framer *framer, const void *frame, size_t stored, void *chunk,
                             size_t size);

#endif
