/* An objective: the prediction and its loss. One file, one descriptor. */
#ifndef RW_OBJECTIVE_H
#define RW_OBJECTIVE_H

#include "data/batch.h"
#include "graph/layers.h"

typedef struct {
    const char *name;
    const char *summary;
    /* Does the format have the data that the objective needs? */
    bool (*accepts)(const rw_format *format);
    /* Adds the head and the loss on x (tokens, D). `table`: the embedding to
     * share, or -1. */
    rw_status (*build)(rw_graph *graph, const rw_format *format, rw_value x, int table);
} rw_objective;

extern const rw_objective *const rw_objective_registry[]; /* NULL-terminated */

/* By name, or "auto": the first objective that accepts the data. RW_USAGE if there is none, or if
 * it does not accept the data. */
rw_status rw_objective_find(const char *name, const rw_format *format, const rw_objective **out);

#endif
