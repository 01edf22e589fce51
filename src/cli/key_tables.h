/* All tables of keys of a configuration, in the order of its sections. */
#ifndef RW_KEY_TABLES_H
#define RW_KEY_TABLES_H

#include "base/config.h"

#define RW_KEY_TABLES_MOST 160

typedef struct {
    const char *path;    /* "optimizer": where the keys stand */
    bool in_list;        /* path is a list: the keys stand in each element */
    const char *owner;   /* "adamw": the keys belong to this choice; NULL: to all choices */
    const char *summary; /* of the section or of the owner */
    const char *source;  /* of the owner: paper; NULL: none */
    const rw_key *keys;  /* may be empty */
} rw_key_table;

/* Writes the tables, at most RW_KEY_TABLES_MOST; returns their number. Not collective. */
int rw_key_tables(rw_key_table *out);

#define RW_KEY_CELL 160 /* bytes of a text about a key, without its meaning */

/* Writes the values that a key at `path` may have: "adamw|sgd", "true|false". Returns false, and an
 * empty text, if values are not listed. Choices of a registry need the path. */
bool rw_key_choices(const char *path, const rw_key *key, char out[RW_KEY_CELL]);

#endif
