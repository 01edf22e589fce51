/* Differences between two configurations with the same keys. Not collective. */
#ifndef RW_CONFIG_COMPARE_H
#define RW_CONFIG_COMPARE_H

#include <stddef.h>

#include "base/config.h"

/* A key with another value; "none": the key is absent. */
typedef struct {
    char *key;       /* full path: model.blocks.0.heads */
    char *old, *now; /* one line each */
    bool neutral;    /* rw_key.neutral of the key, or of the key above it */
} rw_change;

typedef struct {
    rw_change *items; /* owned */
    size_t count, capacity;
} rw_changes;

/* Appends the differences between two mappings at `path` ("" for the root) to *out. `tables` (count
 * of them) know their keys; the caller compares keys of type map and list. Without tables (0) all
 * values below are compared. Numbers are compared by value. Errors: no memory. The caller frees
 * *out with rw_changes_free, also after a failure. */
rw_status rw_config_compare(const rw_config *old, const rw_config *now, const char *path,
                            const rw_key *const *tables, int count, rw_changes *out);
/* Appends a difference. */
rw_status rw_changes_add(rw_changes *changes, const char *key, const char *old, const char *now,
                         bool neutral);
void rw_changes_free(rw_changes *changes);

/* "key: old -> new, key: old -> new" of the neutral changes, or of the others; the end counts the
 * changes without room. Returns the buffer. */
#define RW_CHANGES_TEXT 768
const char *rw_changes_text(const rw_changes *changes, bool neutral, char text[RW_CHANGES_TEXT]);

#endif
