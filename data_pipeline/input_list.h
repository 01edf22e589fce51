/* The names of the inputs of a build: given names, names from lists in files, and files in folders.
 * Not collective. */
#ifndef RW_INPUT_LIST_H
#define RW_INPUT_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct {
    char **names;
    size_t count, capacity;
} rw_input_list;

/* Adds an input. Of a folder, all files in it and in the folders below, in the order of the bytes
 * of their paths, except names that begin with a dot, pipes and devices. A link to a folder is
 * followed, but no folder is read twice. Errors: a folder that cannot be read, or holds no files.
 */
rw_status rw_input_list_add(rw_input_list *list, const char *path);

/* Adds the inputs named in the file `path` ("-": standard input), a name a line, or each ended by a
 * zero byte. Empty names are skipped. Errors: the file cannot be read, or holds no names. */
rw_status rw_input_list_read(rw_input_list *list, const char *path, bool zeros);

void rw_input_list_free(rw_input_list *list);

#endif
