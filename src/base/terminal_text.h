/* A stream of bytes to a terminal, byte by byte: a character is written when it is whole.
 * Characters that shown_text.h does not show appear as \xNN; tabs and line ends stay. Not
 * collective. */
#ifndef RW_TERMINAL_TEXT_H
#define RW_TERMINAL_TEXT_H

#include <stdbool.h>
#include <stdio.h>

typedef struct {
    FILE *out;
    bool escape;           /* false: all bytes unchanged */
    unsigned char held[4]; /* the beginning of a character */
    int count, wanted;     /* bytes held; bytes of the whole character */
} rw_terminal_text;

/* Errors of the stream are left to ferror(out). */
void rw_terminal_text_begin(rw_terminal_text *text, FILE *out, bool escape);
void rw_terminal_text_put(rw_terminal_text *text, unsigned char byte);
/* Writes the held bytes of an incomplete character. */
void rw_terminal_text_end(rw_terminal_text *text);

#endif
