/* A generated task: sequences made from a seed and an index, nothing stored.
 * One file, one descriptor. */
#ifndef RW_TASK_H
#define RW_TASK_H

#include <stdint.h>

#include "base/config.h"
#include "base/random.h"
#include "base/status.h"
#include "tensor/real.h"
#include "tensor/target.h"

/* What one token of a sequence is, on the way in and as target. */
typedef struct {
    int vocab;           /* > 0: token ids 0..vocab-1; 0: real features */
    int features;        /* reals per token where vocab == 0 */
    int target_vocab;    /* > 0: targets are ids (ignored where -1); 0: reals */
    int target_features; /* reals per target where target_vocab == 0 */
} rw_format;

/* One sequence of `length` tokens, row-major; what the format lacks is NULL. */
typedef struct {
    int32_t *tokens;       /* (length) */
    int32_t *targets;      /* (length), RW_IGNORE where nothing is to be predicted */
    real *features;        /* (length, features) */
    uint8_t *starts;       /* (length), 1 where a document begins; NULL: not wanted */
    real *target_features; /* (length, target_features); NAN in the first: ignored */
} rw_sequence;

typedef struct {
    const char *name;
    const char *summary;
    const rw_key *keys; /* besides `name`; ends with RW_KEYS_END */
    /* Checks the configuration against the length, allocates *state (may be
     * NULL) with rw_alloc, and tells the format. */
    rw_status (*setup)(const rw_config *config, long length, void **state, rw_format *format);
    /* Writes sequence `index` of the stream. Pure: no other state. Thread-safe. */
    void (*generate)(const void *state, rw_random stream, uint64_t index, long length,
                     rw_sequence *out);
} rw_task;

/* The random numbers of one sequence: `part` (below 256) tells apart what is
 * drawn for different ends. Indices below 2^56. */
rw_random rw_task_draws(rw_random stream, uint64_t index, uint32_t part);

extern const rw_task *const rw_task_registry[]; /* NULL-terminated */
const rw_task *rw_task_find(const char *name);  /* NULL if unknown */

#endif
