#include "checkpoints/content_hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "checkpoints/checkpoint.h"

struct rw_hasher {
    XXH3_state_t *state;
};

uint64_t rw_hash(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

rw_status rw_hasher_new(rw_hasher **out)
{
    RW_TRY(rw_alloc(1, sizeof **out, "a hash state", out));
    (*out)->state = XXH3_createState();
    if (!(*out)->state) {
        rw_free(out);
        return rw_fail(RW_ERROR, "out of memory: no room for a hash state; free some memory");
    }
    rw_hasher_reset(*out);
    return RW_OK;
}

void rw_hasher_destroy(rw_hasher **hasher)
{
    if (*hasher) XXH3_freeState((*hasher)->state);
    rw_free(hasher);
}

void rw_hasher_reset(rw_hasher *hasher)
{
    XXH3_64bits_reset(hasher->state);
}

void rw_hasher_add(rw_hasher *hasher, const void *data, size_t bytes)
{
    XXH3_64bits_update(hasher->state, data, bytes);
}

uint64_t rw_hasher_value(const rw_hasher *hasher)
{
    return XXH3_64bits_digest(hasher->state);
}

const char *rw_hash_text(uint64_t hash, char text[RW_HASH_TEXT])
{
    snprintf(text, RW_HASH_TEXT, "%016" PRIx64, hash);
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
