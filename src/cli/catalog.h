/* Readable lists of the built-in mixers and tasks, with their keys: the commands mixers and tasks.
 */
#ifndef RW_CATALOG_H
#define RW_CATALOG_H

#include "base/config.h"

#define RW_CATALOG_MOST 128

typedef struct {
    const char *what; /* "mixer"; the command is its plural */
    const char *doc;  /* for --help */
    struct {
        const char *name, *summary;
        const char *source; /* NULL: none */
        const rw_key *keys;
    } entries[RW_CATALOG_MOST];
    int count;
} rw_catalog;

/* Runs a command that prints the whole catalog, or the entry named by its argument. Collective over
 * MPI_COMM_WORLD; rank 0 prints. */
rw_status rw_catalog_run(const rw_catalog *catalog, int argc, char **argv);

#endif
