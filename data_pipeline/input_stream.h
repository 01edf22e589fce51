/* An input as a stream of bytes, decompressed on the way (input_decoder.h): a
 * file, a named pipe, /dev/fd/N, or standard input ("-"). It is opened once and
 * never moved in, so pipes lose nothing. Memory does not depend on the size of
 * the input. Not collective; one thread at a time. */
#ifndef RW_INPUT_STREAM_H
#define RW_INPUT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rw_input rw_input;

/* Opens what `path` names ("-": standard input) and reads its head. Waits for
 * the writer of a pipe, and says so. The caller closes *out. */
rw_status rw_input_open(const char *path, rw_input **out);
void rw_input_close(rw_input **input);

/* Most bytes that rw_input_head returns. */
#define RW_INPUT_HEAD_BYTES ((size_t)64 * 1024)

/* The first bytes of the decompressed stream (RW_INPUT_HEAD_BYTES, or all if
 * there are fewer), whatever has been read since. Owned by the input. */
const uint8_t *rw_input_head(const rw_input *input, size_t *bytes);

/* Reads up to `size` decompressed bytes; *got == 0 means the end. The first
 * reading returns all of the head if `size` allows. Damaged or truncated files
 * are errors that name the file. */
rw_status rw_input_read(rw_input *input, uint8_t *buffer, size_t size, size_t *got);

/* Can the input be opened only once: a pipe, standard input? */
bool rw_input_is_pipe(const rw_input *input);
/* Is `path` the pipe that this input reads? */
bool rw_input_reads(const rw_input *input, const char *path);
/* Keeps all that is read from here on in a temporary file in the folder of the
 * file `beside`, for rw_input_rewind. Called before the first reading. */
rw_status rw_input_keep(rw_input *input, const char *beside);
/* Back to the first byte, of an input that is kept and was read to its end. */
void rw_input_rewind(rw_input *input);

/* The name for messages. */
const char *rw_input_name(const rw_input *input);
/* How it is compressed: "gzip", "bzip2", "xz", "zstd", or NULL. */
const char *rw_input_compression(const rw_input *input);
/* Share of the file that has been read, 0 to 1 (0 if its size is unknown). */
double rw_input_share(const rw_input *input);
/* Size and XXH3-64 of what has been read of the input as it is on disk or in
 * the pipe: of all of it once rw_input_read has reached the end. */
uint64_t rw_input_bytes(const rw_input *input);
uint64_t rw_input_hash(const rw_input *input);

#endif
