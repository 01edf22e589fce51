/* Decompression of inputs: gzip, bzip2, xz, Zstandard, or plain, detected by the first bytes.
 * Consecutive streams are joined. Not collective; one thread at a time. */
#ifndef RW_INPUT_DECODER_H
#define RW_INPUT_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rw_decoder rw_decoder;

/* So many bytes of the file must be given to rw_decoder_new, or all if there
 * are fewer. */
#define RW_DECODER_MAGIC_BYTES 16

/* Chooses by the first bytes of the file; `path` is for messages. The caller
 * destroys *out. Errors: out of memory. */
rw_status rw_decoder_new(const char *path, const uint8_t *first, size_t bytes, rw_decoder **out);
void rw_decoder_destroy(rw_decoder **decoder);

/* "gzip", "bzip2", "xz", "zstd"; NULL where the file is plain. */
const char *rw_decoder_name(const rw_decoder *decoder);

/* A step: takes *used bytes from `in` and writes *made bytes, at most `size`. last: the input ends
 * with `in`. A step may take bytes without writing any. Returns NULL, or the reason why the data
 * cannot be decompressed. */
const char *rw_decoder_run(rw_decoder *decoder, const uint8_t *in, size_t count, bool last,
                           size_t *used, uint8_t *out, size_t size, size_t *made);

/* May the file end here? False inside a member, stream or frame. */
bool rw_decoder_whole(const rw_decoder *decoder);

#endif
