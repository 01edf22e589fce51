/* The names of the inputs of a build: as they are given, from lists in files,
 * and of the files in folders. Not collective. */
#ifndef RW_INPUT_LIST_H
#define RW_INPUT_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct {
    char **names;
    size_t count, capacity;
} rw_input_list;

/* Adds an input. Of a folder, all files in it and in the folders below, in the
 * order of the bytes of their paths: without those whose names begin with a dot,
 * without pipes and devices; a link to a folder is followed, but no folder is
 * read twice. Errors: a folder that cannot be read, or holds no files. */
rw_status rw_input_list_add(rw_input_list *list, const char *path);

/* Adds the inputs whose names are in the file `path` ("-": standard input), one a
 * line, or each ended by a zero byte. Empty names are skipped. Errors: it cannot
 * be read, or holds no names. */
rw_status rw_input_list_read(rw_input_list *list, const char *path, bool zeros);

void rw_input_list_free(rw_input_list *list);

#endif
