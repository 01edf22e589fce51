/* Text from outside (configurations, names, paths, what a checkpoint says) on its way to
 * people. A terminal takes control characters for commands: they may move the cursor, hide
 * what stands before them, or set a title. So they are shown as \xNN, byte by byte:
 *
 *   control characters of ASCII and DEL; C1 (U+0080 to U+009F)
 *   bytes that are not UTF-8
 *   what reverses or hides the text around it (bidirectional controls, U+2028, U+FEFF, tags)
 *
 * All functions: not collective. */
#ifndef RW_SHOWN_TEXT_H
#define RW_SHOWN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes of the first UTF-8 character of `text`, 1 to 4; 0: no valid character. */
size_t rw_utf8_length(const char *text, size_t size);
bool rw_is_utf8(const char *text, size_t size);

/* Would the text be shown unchanged, on one line? */
bool rw_is_shown(const char *text, size_t size);

/* Bytes of `out` for the shown form of `size` bytes of text, with the final NUL. */
#define RW_SHOWN_SIZE(size) (4 * (size) + 1)
/* Copies `text` in its shown form, on one line: line ends and tabs are shown as \xNN too. The rest
 * after `room` bytes is left out; characters are not split. Returns `out`. */
char *rw_show_text(const char *text, char *out, size_t room);

/* Prints a line of a report like fprintf, with the whole line in its shown form; the line end is
 * added. A line of more than 64 KiB is cut. */
void rw_print_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a text of several lines; line ends and tabs stay. A line end is added if the last line has
 * none. */
void rw_print_lines(FILE *out, const char *text);

#endif
