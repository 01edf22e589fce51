/* A temporary file without a name: keeps bytes that can be read only once, for a second reading.
 * The file vanishes with the process. Not collective; one thread at a time. */
#ifndef RW_INPUT_SPOOL_H
#define RW_INPUT_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rw_spool rw_spool;

/* Creates the file in the folder of the file `beside`, which must have room for all bytes. The
 * caller destroys *out. */
rw_status rw_spool_new(const char *beside, rw_spool **out);
void rw_spool_destroy(rw_spool **spool);

/* Appends. */
rw_status rw_spool_write(rw_spool *spool, const uint8_t *bytes, size_t count);
/* Reads from the `offset` on; *got == 0 means the end. */
rw_status rw_spool_read(rw_spool *spool, uint64_t offset, uint8_t *buffer, size_t size,
                        size_t *got);

#endif
