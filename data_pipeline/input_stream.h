/* An input file as a stream of bytes, decompressed on the way: plain, gzip or
 * Zstandard, told by content. Memory does not depend on the size of the file.
 * Not collective; one thread at a time. */
#ifndef RW_INPUT_STREAM_H
#define RW_INPUT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rw_input rw_input;

/* Opens the file at `path`; the caller closes *out. */
rw_status rw_input_open(const char *path, rw_input **out);
void rw_input_close(rw_input **input);

/* The first bytes of the decompressed stream (64 KiB, or all if there are
 * fewer), whatever has been read since. Owned by the input. */
const uint8_t *rw_input_head(const rw_input *input, size_t *bytes);

/* Reads up to `size` decompressed bytes; *got == 0 means the end. Damaged or
 * truncated files are errors that name the file. */
rw_status rw_input_read(rw_input *input, uint8_t *buffer, size_t size, size_t *got);

const char *rw_input_path(const rw_input *input);
/* Share of the file that has been read, 0 to 1 (0 if its size is unknown). */
double rw_input_share(const rw_input *input);
/* Size and XXH3-64 of what has been read of the file as it is on disk: of all
 * of it once rw_input_read has reached the end. */
uint64_t rw_input_bytes(const rw_input *input);
uint64_t rw_input_hash(const rw_input *input);

#endif
