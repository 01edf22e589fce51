/* Names of keys: as --set takes them, and as people ask for them. */
#ifndef RW_KEY_NAMES_H
#define RW_KEY_NAMES_H

#include "cli/key_tables.h"

/* Writes the path of a key as --set takes it: "optimizer.lr", "model.blocks.N.state". */
void rw_key_path(const rw_key_table *table, const rw_key *key, char out[RW_KEY_CELL]);

/* Does NAME mean this key of the table (NULL: the table)? The number of a block is
 * ignored. A table:
 *   optimizer, adamw, optimizer.adamw
 * A key:
 *   beta1, optimizer.beta1, adamw.beta1, optimizer.adamw.beta1 */
bool rw_key_has_name(const rw_key_table *table, const rw_key *key, const char *name);

/* Writes the nearest name of a table or key. Returns false, and an empty text, if none is near. */
bool rw_key_nearest_name(const rw_key_table *tables, int count, const char *name,
                         char out[RW_KEY_CELL]);

#endif
