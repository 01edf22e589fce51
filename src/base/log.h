/* Log lines for people: to standard error and, once a run folder exists, to its log.txt. Only the
 * speaking rank prints. Characters that a terminal takes for commands are shown as \xNN
 * (shown_text.h). A closed standard error (a pipe without a reader) does not end the program. */
#ifndef RW_LOG_H
#define RW_LOG_H

#include <stdbool.h>

#include "base/status.h"

/* Rank 0 speaks, others are silent. Call once after MPI_Init. */
void rw_log_speak(bool speaks);
/* Also appends all later lines to the file at `path`: a regular file, not through a link; else an
 * error. An empty file gets the header first. Lines that cannot be written later are counted; a
 * warning comes with the first, and their number when the file is closed. */
rw_status rw_log_open(const char *path, const char *header);
void rw_log_close(void);

void rw_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void rw_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The progress line: on a terminal it overwrites itself, cut to the terminal's width, and is
 * cleared before any other line; elsewhere it is a plain line. `last` ends it. */
void rw_progress(bool last, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Is standard error a terminal that can clear a line (not TERM=dumb)? Callers print progress less
 * often if not. */
bool rw_on_terminal(void);

#endif
