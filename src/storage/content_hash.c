#include "storage/content_hash.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL /* the library hides the size of its state */
#include <xxhash.h>

_Static_assert(sizeof(XXH3_state_t) <= sizeof(rw_hasher) &&
                   _Alignof(XXH3_state_t) <= _Alignof(rw_hasher),
               "rw_hasher is the room for xxhash's state");

uint64_t rw_hash(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

void rw_hasher_reset(rw_hasher *hasher)
{
    XXH3_64bits_reset((XXH3_state_t *)hasher);
}

void rw_hasher_add(rw_hasher *hasher, const void *data, size_t bytes)
{
    XXH3_64bits_update((XXH3_state_t *)hasher, data, bytes);
}

uint64_t rw_hasher_value(const rw_hasher *hasher)
{
    return XXH3_64bits_digest((const XXH3_state_t *)hasher);
}

const char *rw_hash_text(uint64_t hash, char text[RW_HASH_TEXT])
{
    snprintf(text, RW_HASH_TEXT, "%" RW_PRI_HASH, hash);
    return text;
}

bool rw_hash_parse(const char *text, uint64_t *hash)
{
    if (strlen(text) != RW_HASH_TEXT - 1) return false;
    uint64_t value = 0;
    for (; *text; text++) {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, *text);
        if (!digit) return false;
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *hash = value;
    return true;
}
