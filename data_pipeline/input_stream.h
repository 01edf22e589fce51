/* An input as a stream of bytes, decompressed (input_decoder.h): a file, a named pipe, /dev/fd/N,
 * or standard input ("-"). The input is opened once and read in order, so pipes lose nothing.
 * Memory does not depend on the size of the input. Not collective; one thread at a time. */
#ifndef RW_INPUT_STREAM_H
#define RW_INPUT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rw_input rw_input;

/* Opens `path` ("-": standard input) and reads its head. Waits for the writer of a pipe, and tells
 * the user. The caller closes *out. */
rw_status rw_input_open(const char *path, rw_input **out);
void rw_input_close(rw_input **input);

/* Most bytes of rw_input_head. */
#define RW_INPUT_HEAD_BYTES ((size_t)64 * 1024)

/* The first bytes of the decompressed stream (RW_INPUT_HEAD_BYTES, or all if
 * there are fewer), whatever has been read since. Owned by the input. */
const uint8_t *rw_input_head(const rw_input *input, size_t *bytes);

/* Reads up to `size` decompressed bytes; *got == 0: the end. The first reading returns the whole
 * head if `size` allows. Damaged or truncated files are errors that name the file. */
rw_status rw_input_read(rw_input *input, uint8_t *buffer, size_t size, size_t *got);

/* Can the input be opened only once: a pipe, standard input? */
bool rw_input_is_pipe(const rw_input *input);
/* Does this input read the pipe `path`? */
bool rw_input_reads(const rw_input *input, const char *path);
/* From now on keeps all read bytes in a temporary file in the folder of the file `beside`, for
 * rw_input_rewind. Call before the first reading. */
rw_status rw_input_keep(rw_input *input, const char *beside);
/* Returns to the first byte of a kept input that was read to its end. */
void rw_input_rewind(rw_input *input);

/* The name for messages. */
const char *rw_input_name(const rw_input *input);
/* Its compression: "gzip", "bzip2", "xz", "zstd", or NULL. */
const char *rw_input_compression(const rw_input *input);
/* Share of the file read so far, 0 to 1 (0 if the size is unknown). */
double rw_input_share(const rw_input *input);
/* Size and XXH3-64 of the bytes read so far, as on disk or in the pipe: of the whole input after
 * rw_input_read has reached the end. */
uint64_t rw_input_bytes(const rw_input *input);
uint64_t rw_input_hash(const rw_input *input);

#endif
