/* Signatures of formats that ropewalk does not read: such files are refused by name instead of
 * being read as text. Not collective. */
#ifndef RW_SIGNATURE_H
#define RW_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;   /* with its article: "a zip archive" */
    const char *advice; /* advice: "unpack it ..." */
    /* Lines that could also be meant as text; else bytes that are certainly no text. */
    bool is_text;
} rw_signature;

/* The format of a file that begins with `head`; NULL: unknown. */
const rw_signature *rw_signature_find(const uint8_t *head, size_t bytes);

/* The place of the first byte that no text holds (NUL), or of too many control characters; `bytes`
 * if there is none. */
size_t rw_signature_binary_place(const uint8_t *head, size_t bytes);

/* Bytes of the UTF-8 byte order mark at the beginning: 3 or 0. */
size_t rw_signature_mark_bytes(const uint8_t *head, size_t bytes);

#endif
