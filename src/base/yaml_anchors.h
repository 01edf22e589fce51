/* Anchors (&name) of a YAML document during reading, and their uses: aliases (*name) and merge keys
 * (<<). Private to yaml_read.c. Not collective. */
#ifndef RW_YAML_ANCHORS_H
#define RW_YAML_ANCHORS_H

#include "base/yaml_tree.h"

typedef struct {
    char *name;
    const rw_config *node; /* in the tree; NULL: the node is not complete yet */
} rw_anchor;

typedef struct {
    rw_anchor *list; /* a name may be used again: the last anchor counts */
    size_t count, capacity;
    rw_config *kept; /* nodes of anchors outside the tree */
} rw_anchors;

void rw_anchors_free(rw_anchors *anchors);

/* A new anchor, without a node yet; *index is its number. name NULL: no anchor. */
rw_status rw_anchors_begin(rw_anchors *anchors, const char *name, size_t *index);
void rw_anchors_end(rw_anchors *anchors, size_t index, const rw_config *node);
#define RW_NO_ANCHOR SIZE_MAX

/* The anchor of this name, or NULL. */
const rw_anchor *rw_anchors_find(const rw_anchors *anchors, const char *name);
/* Keeps *node until the end: an anchor may point into it. */
rw_status rw_anchors_keep(rw_anchors *anchors, rw_config **node);

/* Puts copies of the children of the mapping `from` in front of the children of `map`, except for
 * keys of `map`. */
rw_status rw_node_merge(rw_config *map, const rw_config *from);

#endif
