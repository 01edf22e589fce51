/* JSON text (RFC 8259), checked and searched in place. No tree is built and numbers are never
 * converted, so numbers of any size are accepted. Strings must be UTF-8. Not collective. */
#ifndef RW_JSON_TEXT_H
#define RW_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    RW_JSON_WHOLE, /* a value */
    RW_JSON_CUT,   /* the beginning of a value: the text ends too early */
    RW_JSON_WRONG,
} rw_json_state;

typedef struct {
    rw_json_state state;
    size_t used;       /* bytes, white space before the value included; the place of the fault */
    size_t tokens;     /* complete ones: brackets, commas, colons, strings, numbers, words */
    size_t members;    /* keys with their colon */
    const char *fault; /* unless whole */
} rw_json_scan;

/* Scans a value from the beginning of the text. */
rw_json_scan rw_json_check(const uint8_t *text, size_t count);

/* A part of a text. */
typedef struct {
    const uint8_t *text;
    size_t count;
} rw_json_value;

/* The value of the last member `key` of the object, whose text has been checked; false for an
 * object without the member, and for another value. */
bool rw_json_find(rw_json_value object, const char *key, size_t key_bytes, rw_json_value *out);

/* Decodes a checked string to UTF-8: at most value.count bytes to `out`, which
 * may be value.text. A surrogate without its partner becomes U+FFFD and is added
 * to *lone. Returns the number of bytes. */
size_t rw_json_decode(rw_json_value string, uint8_t *out, size_t *lone);

#endif
