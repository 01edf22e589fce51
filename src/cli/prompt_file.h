/* The bytes of a prompt from a file, a pipe or standard input. */
#ifndef RW_PROMPT_FILE_H
#define RW_PROMPT_FILE_H

#include <stddef.h>

#include "base/status.h"

/* All bytes of the file at `path`; "-": of standard input. *text has at least one byte of memory,
 * which the caller frees. Not collective. */
rw_status rw_prompt_file_read(const char *path, char **text, size_t *size);

#endif
