/* A generated task: sequences made from a seed and an index, nothing stored.
 * One file, one descriptor. */
#ifndef RW_TASK_H
#define RW_TASK_H

#include <stdint.h>

#include "base/config.h"
#include "base/random.h"
#include "base/status.h"
#include "data/batch.h"

typedef struct {
    const char *name;
    const char *summary;
    const rw_key *keys; /* besides `name`; ends with RW_KEYS_END */
    /* Checks the configuration against the length, allocates *state (may stay NULL), and tells the
     * format. */
    rw_status (*setup)(const rw_config *config, long length, void **state, rw_format *format);
    /* Frees what setup allocated; called also after an error of setup. NULL: rw_free(&state). */
    void (*destroy)(void *state);
    /* Writes sequence `index` of the stream. Pure: no other state. Thread-safe. */
    void (*generate)(const void *state, rw_random stream, uint64_t index, long length,
                     rw_sequence *out);
} rw_task;

/* The random numbers of a sequence; `part` (below 256) separates draws for different purposes.
 * Indices below 2^56. */
rw_random rw_task_draws(rw_random stream, uint64_t index, uint32_t part);

extern const rw_task *const rw_task_registry[]; /* NULL-terminated */
const rw_task *rw_task_find(const char *name);  /* NULL if unknown */

#endif
