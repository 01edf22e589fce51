/* Anchors (&name) of a YAML document that is being read, and what refers to them: aliases
 * (*name) and merge keys (<<). Private to yaml_read.c. Not collective. */
#ifndef RW_YAML_ANCHORS_H
#define RW_YAML_ANCHORS_H

#include "base/yaml_tree.h"

typedef struct {
    char *name;
    const rw_config *node; /* in the tree that is being read; NULL: still being read */
} rw_anchor;

typedef struct {
    rw_anchor *list; /* a name may come again: the last one counts */
    size_t count, capacity;
    rw_config *kept; /* nodes that anchors point to and the tree does not hold */
} rw_anchors;

void rw_anchors_free(rw_anchors *anchors);

/* A new anchor, which has no node yet; *index names it. NULL as name: no anchor. */
rw_status rw_anchors_begin(rw_anchors *anchors, const char *name, size_t *index);
void rw_anchors_end(rw_anchors *anchors, size_t index, const rw_config *node);
#define RW_NO_ANCHOR SIZE_MAX

/* The anchor of this name, or NULL. */
const rw_anchor *rw_anchors_find(const rw_anchors *anchors, const char *name);
/* Takes *node over until the end: an anchor may point into it. */
rw_status rw_anchors_keep(rw_anchors *anchors, rw_config **node);

/* Puts copies of the children of `from`, a mapping, in front of those of `map`, but for
 * keys that `map` has. */
rw_status rw_node_merge(rw_config *map, const rw_config *from);

#endif
