/* A feed-forward block: works on each token alone. One file, one descriptor. */
#ifndef RW_MLP_H
#define RW_MLP_H

#include "base/config.h"
#include "graph/layers.h"

typedef struct {
    const char *name;
    const char *summary;
    const char *source; /* paper */
    const rw_key *keys; /* besides `mlp`; ends with RW_KEYS_END */
    /* Adds the block on the normalised block input x (tokens, D); *y has width D. `config` is the
     * block's mapping, checked against keys. */
    rw_status (*build)(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y);
} rw_mlp;

extern const rw_mlp *const rw_mlp_registry[]; /* NULL-terminated */
const rw_mlp *rw_mlp_find(const char *name);  /* NULL if unknown */

/* Shared keys: `expand`. */
extern const rw_key rw_mlp_keys[];
/* down(activation(up(x))): `up` has `factor` times the inner width, and the activation leaves the
 * inner width, `expand` times D, a multiple of 8. */
rw_status rw_mlp_build(rw_graph *graph, const rw_config *config, int factor,
                       rw_status (*activation)(rw_graph *graph, rw_value x, rw_value *y),
                       rw_value x, rw_value *y);

#endif
