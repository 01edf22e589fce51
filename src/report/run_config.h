/* config.yaml of a run folder, for reports: its text, and a few scalars by path. No key is required
 * and none is checked: a report must also be written for a run of another version, or with a
 * damaged config. */
#ifndef RW_RUN_CONFIG_H
#define RW_RUN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "base/status.h"

typedef struct {
    char *text;  /* the file, "" if there is none */
    bool parsed; /* the text is YAML; otherwise no path is found */
    yaml_document_t document;
} rw_run_config;

/* Reads the file at `path` (at most 1 MiB) into *out, which rw_run_config_free releases, also after
 * an error. No file: an empty config. Not collective. Errors: RW_ERROR if the file cannot be read,
 * or memory is short. */
rw_status rw_run_config_read(const char *path, rw_run_config *out);

void rw_run_config_free(rw_run_config *config);

/* The scalar at a path such as "data.task.name", as written; NULL if none. */
const char *rw_run_config_get(rw_run_config *config, const char *path);

/* Names of the list at model.blocks: "lssl, ssd, swiglu"; "" if none. The caller frees *out.
 * Errors: RW_ERROR without memory. */
rw_status rw_run_config_blocks(rw_run_config *config, char **out);

/* The scalars of the mapping at `path` except the first: "vocab 128, pairs 8". Borrowed likewise.
 */
rw_status rw_run_config_options(rw_run_config *config, const char *path, char **out);

#endif
