/* Hashes of stored bytes, the same in all files of ropewalk: XXH3, 64 bits,
 * seed 0. */
#ifndef RW_CONTENT_HASH_H
#define RW_CONTENT_HASH_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

/* Of contiguous bytes. */
uint64_t rw_hash(const void *data, size_t bytes);

/* Of bytes in several buffers: reset, add, value. Owns nothing; in allocated memory it needs the
 * alignment of rw_alloc. */
typedef struct {
    _Alignas(64) unsigned char state[640];
} rw_hasher;

/* Starts, or starts again. */
void rw_hasher_reset(rw_hasher *hasher);
void rw_hasher_add(rw_hasher *hasher, const void *data, size_t bytes);
/* The hash of all bytes added since the start. */
uint64_t rw_hasher_value(const rw_hasher *hasher);

/* A hash as text: sixteen lower-case hexadecimal digits. For printf: "%" RW_PRI_HASH. */
#define RW_PRI_HASH  "016" PRIx64
#define RW_HASH_TEXT 17 /* with the final zero */
/* Fills a buffer of the caller and returns it. */
const char *rw_hash_text(uint64_t hash, char text[RW_HASH_TEXT]);
/* The inverse; false unless `text` is exactly sixteen such digits. */
bool rw_hash_parse(const char *text, uint64_t *hash);

#endif
