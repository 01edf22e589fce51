/* Keys of a configuration as text: cells of a table, and lines for the terminal.
 * `path` is the path of the key's table ("optimizer"); NULL: no registry names values of the keys.
 */
#ifndef RW_KEY_TEXT_H
#define RW_KEY_TEXT_H

#include "cli/key_tables.h"

/* "integer 1 .. 64", "adamw|sgd". */
void rw_key_describe_type(const char *path, const rw_key *key, char cell[RW_KEY_CELL]);
/* The default; "required", or "-" if the key has none. */
void rw_key_describe_default(const rw_key *key, char cell[RW_KEY_CELL]);
/* Prints the keys to standard output: name, type, default, meaning. A key is one line; on a
 * terminal long meanings continue on further lines. NULL: no keys. */
void rw_keys_print(const char *path, const rw_key *keys);

#endif
