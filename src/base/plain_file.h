/* Opens files for reading without ever waiting for somebody: a named pipe in the
 * place of a file would block for ever. Not collective. */
#ifndef RW_PLAIN_FILE_H
#define RW_PLAIN_FILE_H

#include <stdio.h>

/* Opens a regular file. NULL on failure, with errno; *why then gives the reason, e.g. a pipe (errno
 * EINVAL) or no such file. The caller closes the stream. */
FILE *rw_plain_open(const char *path, const char **why);

/* The same, but a pipe with data within seconds is accepted: for files that users name, such as
 * <(sed ... config.yaml). */
FILE *rw_plain_open_or_pipe(const char *path, const char **why);

#endif
