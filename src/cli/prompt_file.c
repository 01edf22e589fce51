#include "cli/prompt_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define PIECE     65536
#define MAX_BYTES ((size_t)1 << 30) /* a file without an end is no prompt */

static rw_status read_all(FILE *file, const char *path, char **text, size_t *size)
{
    size_t capacity = 0, got;
    *size = 0;
    do {
        RW_TRY(rw_grow(text, &capacity, *size + PIECE, 1));
        got = fread(*text + *size, 1, PIECE, file);
        *size += got;
    } while (got > 0 && *size <= MAX_BYTES);
    if (*size > MAX_BYTES)
        return rw_fail(RW_USAGE, "the prompt from %s has more than %zu MiB; use its end alone",
                       path, MAX_BYTES >> 20);
    if (!ferror(file)) return RW_OK;
    return rw_fail(RW_ERROR, "cannot read the prompt from %s: %s", path, strerror(errno));
}

rw_status rw_prompt_file_read(const char *path, char **text, size_t *size)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    *text = NULL;
    if (!file)
        return rw_fail(RW_ERROR, "cannot read the prompt from %s: %s; check the path", path,
                       strerror(errno));
    rw_status status = read_all(file, path, text, size);
    if (file != stdin) fclose(file);
    if (status != RW_OK) rw_free(text);
    return status;
}
