/* A sequence mixer: what lets tokens see each other. One file, one descriptor.
 *
 * A mixer is a small graph of ops (src/ops, and usually one op of its own that
 * holds the recurrence, defined in the mixer's file). Its forms - reference,
 * chunk-parallel forward and backward, one-token step, carry - are those of its
 * ops. docs/add-a-mixer.md walks through one. */
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

/* Widths are int: refuses `heads` heads of `columns` columns, an error about `key`, where they come
 * near its end. */
#define RW_MIXER_MAX_COLUMNS (1 << 24)
rw_status rw_mixer_check_columns(const rw_config *config, const char *key, int heads,
                                 int64_t columns);

#endif
