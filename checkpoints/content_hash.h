/* Hashes of stored bytes: XXH3, 64 bits, seed 0; rw_hash() in checkpoint.h for
 * bytes that lie together, a rw_hasher for bytes that come in pieces. */
#ifndef RW_CONTENT_HASH_H
#define RW_CONTENT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define RW_HASH_TEXT 17 /* sixteen lower-case hexadecimal digits and the final zero */

typedef struct rw_hasher rw_hasher;

rw_status rw_hasher_new(rw_hasher **out);
void rw_hasher_destroy(rw_hasher **hasher);
/* Starts again, as if new. */
void rw_hasher_reset(rw_hasher *hasher);
void rw_hasher_add(rw_hasher *hasher, const void *data, size_t bytes);
/* The hash of all that was added since the start. */
uint64_t rw_hasher_value(const rw_hasher *hasher);

/* The hash as text, in a buffer of the caller; returns it. */
const char *rw_hash_text(uint64_t hash, char text[RW_HASH_TEXT]);
/* The inverse; false unless `text` is exactly sixteen such digits. */
bool rw_hash_parse(const char *text, uint64_t *hash);

#endif
