/* Signatures: what formats that ropewalk does not read begin with, so that they
 * are refused by name instead of being read as text. Not collective. */
#ifndef RW_SIGNATURE_H
#define RW_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;   /* with its article: "a zip archive" */
    const char *advice; /* what to do: "unpack it ..." */
    /* Lines of text that could also be meant as text; else bytes that nobody
     * can mean as text. */
    bool is_text;
} rw_signature;

/* The format of a file that begins with `head`; NULL if none is recognised. */
const rw_signature *rw_signature_find(const uint8_t *head, size_t bytes);

/* Where the first byte is that no text holds (NUL), or where control characters
 * are too many for a text; `bytes` if there is none. */
size_t rw_signature_binary_place(const uint8_t *head, size_t bytes);

/* Bytes of the UTF-8 byte order mark at the beginning: 3 or 0. */
size_t rw_signature_mark_bytes(const uint8_t *head, size_t bytes);

#endif
