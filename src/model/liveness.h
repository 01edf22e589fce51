/* Memory planning: buffers that live at disjoint times share memory. */
#ifndef RW_LIVENESS_H
#define RW_LIVENESS_H

#include <stddef.h>

#include "base/status.h"

typedef struct {
    size_t size;          /* in; 0: ignored */
    int begin[2], end[2]; /* in: lives in [begin[i], end[i]]; none: begin > end */
    size_t offset;        /* out: a multiple of 16 */
} rw_lifetime;

/* Marks a use of the buffer at `time` of phase 0 or 1. Between two uses in one phase the buffer is
 * alive. Start from RW_LIFETIME_NONE. */
#define RW_LIFETIME_NONE                                                                           \
    (rw_lifetime)                                                                                  \
    {                                                                                              \
        .size = 0, .begin = {1, 1}, .end = { 0, 0 }                                                \
    }
void rw_lifetime_use(rw_lifetime *item, int phase, int time);
/* The buffer also lives as long as the other buffer. */
void rw_lifetime_join(rw_lifetime *item, const rw_lifetime *other);

/* First fit in the given order. *total is the size of the arena. Not collective;
 * deterministic. */
rw_status rw_liveness_place(rw_lifetime *items, int count, size_t *total);

#endif
