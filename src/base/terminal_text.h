/* Bytes that nobody has checked, written so that they can do no harm on a terminal:
 * what is not UTF-8 text, control characters and marks that change the direction of
 * writing appear as \xNN. Bytes come one at a time; a character is written once it
 * is whole. Not collective. */
#ifndef RW_TERMINAL_TEXT_H
#define RW_TERMINAL_TEXT_H

#include <stdbool.h>
#include <stdio.h>

typedef struct {
    FILE *out;
    bool escape;           /* false: all bytes as they are */
    unsigned char held[4]; /* the beginning of a character */
    int count, wanted;     /* bytes held; bytes of the whole character */
} rw_terminal_text;

/* Errors of the stream are left to ferror(out). */
void rw_terminal_text_begin(rw_terminal_text *text, FILE *out, bool escape);
void rw_terminal_text_put(rw_terminal_text *text, unsigned char byte);
/* Writes what is still held: a character that remained incomplete. */
void rw_terminal_text_end(rw_terminal_text *text);

/* All bytes of a string, escaped. */
void rw_terminal_text_write(const char *string, FILE *out);

#endif
