/* Chunks of HDF5 datasets, each a zstd frame with its own checksum. Frames are packed and unpacked
 * here, and HDF5 stores them unchanged: the filter of a dataset only tells other programs how to
 * read the frames, and this HDF5 need not know the filter. */
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

/* Stores a chunk of `size` bytes at `offset` of the open dataset, or reads a chunk. Both return
 * NULL, or an error text, valid until the next call; a damaged frame, or a frame with another
 * number of bytes, is an error. The HDF5 lock is held only during calls of HDF5, so that others
 * need not wait for compression. */
const char *rw_framer_write(rw_framer *framer, hid_t dataset, const hsize_t *offset,
                            const void *chunk, size_t size);
const char *rw_framer_read(rw_framer *framer, hid_t dataset, const hsize_t *offset, void *chunk,
                           size_t size);

/* The bytes of a frame of a chunk of `size` bytes, at most. */
size_t rw_frame_limit(size_t size);
/* Unpacks a frame, which must hold a chunk of exactly `size` bytes and end there. Returns like the
 * others. Without HDF5. */
const char *rw_framer_unpack(rw_framer *framer, const void *frame, size_t stored, void *chunk,
                             size_t size);

#endif
