/* All tables of keys of a configuration, in the order of its sections. */
#ifndef RW_KEY_TABLES_H
#define RW_KEY_TABLES_H

#include "base/config.h"

#define RW_KEY_TABLES_MOST 160

typedef struct {
    const char *path;    /* "optimizer": where the keys stand */
    const char *owner;   /* "adamw": the keys belong to this choice; NULL: to all choices */
    const char *summary; /* of the section or of the owner */
    const char *source;  /* of the owner: paper; NULL: none */
    const rw_key *keys;  /* may be empty */
} rw_key_table;

/* Writes the tables, at most RW_KEY_TABLES_MOST; returns their number. Not collective. */
int rw_key_tables(rw_key_table *out);

/* The cells of a key, as help and docs show them, in a buffer of the caller. */
#define RW_KEY_CELL 160
void rw_key_describe_type(const rw_key *key, char cell[RW_KEY_CELL]);
void rw_key_describe_default(const rw_key *key, char cell[RW_KEY_CELL]);
/* Prints the keys to standard output, a key a line: name, type, default, meaning. NULL: none. */
void rw_keys_print(const rw_key *keys);

#endif
