/* A sequence mixer: moves information between tokens. One file, one descriptor. A mixer is a small
 * graph of ops: those of src/ops, and usually an op for its recurrence, defined in the mixer's
 * file. The ops give the mixer its forms: reference, chunk-parallel forward and backward, one-token
 * step, carry. docs/add-a-mixer.md walks through a mixer. */
#ifndef RW_MIXER_H
#define RW_MIXER_H

#include "base/config.h"
#include "graph/layers.h"

typedef struct {
    const char *name;
    const char *summary;
    const char *source; /* paper */
    const rw_key *keys; /* besides `mixer`; ends with RW_KEYS_END */
    /* Adds the mixer on the normalised block input x (tokens, D); *y has width D.
     * `config` is the block's mapping, checked against keys. */
    rw_status (*build)(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y);
} rw_mixer;

extern const rw_mixer *const rw_mixer_registry[]; /* NULL-terminated */
const rw_mixer *rw_mixer_find(const char *name);  /* NULL if unknown */

/* Widths are int: refuses `heads` heads of `columns` columns if their product comes near the
 * largest int. The error names `key`. */
#define RW_MIXER_MAX_COLUMNS (1 << 24)
rw_status rw_mixer_check_columns(const rw_config *config, const char *key, int heads,
                                 int64_t columns);

#endif
