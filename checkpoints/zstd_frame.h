/* Single zstd frames with their own checksum: what an HDF5 chunk holds. */
#ifndef RW_ZSTD_FRAME_H
#define RW_ZSTD_FRAME_H

#include <stddef.h>

#include "base/status.h"

typedef struct rw_framer rw_framer;

/* For frames of at most `limit` bytes of contents. */
rw_status rw_framer_new(size_t limit, rw_framer **out);
void rw_framer_destroy(rw_framer **framer);

/* Room for the contents, `limit` bytes, and for a frame of any of them: filled
 * by the caller before rw_framer_unpack, borrowed. */
unsigned char *rw_framer_contents(rw_framer *framer);
unsigned char *rw_framer_frame(rw_framer *framer, size_t *capacity);

/* Packs `size` bytes into the room for the frame. */
rw_status rw_framer_pack(rw_framer *framer, const void *contents, size_t size, size_t *frame_size);
/* Unpacks the frame into the room for the contents. A frame that is damaged,
 * or holds another number of bytes than `size`, is an error. */
rw_status rw_framer_unpack(rw_framer *framer, size_t frame_size, size_t size);

#endif
