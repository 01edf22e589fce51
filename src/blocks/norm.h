/* A norm in front of each block. One file, one descriptor. */
#ifndef RW_NORM_H
#define RW_NORM_H

#include "graph/layers.h"

typedef struct {
    const char *name;
    const char *summary;
    const char *source; /* paper */
    /* Adds the norm on x; its parameters are named `name`. *y is as wide as x. */
    rw_status (*build)(rw_graph *graph, rw_value x, const char *name, rw_value *y);
} rw_norm;

extern const rw_norm *const rw_norm_registry[]; /* NULL-terminated */
const rw_norm *rw_norm_find(const char *name);  /* NULL if unknown */

#endif
