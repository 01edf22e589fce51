/* The tree of a rw_config: mappings, lists and scalars with their lines. Private to the
 * configuration (config*.c, yaml_*.c). A subset of YAML 1.1 without surprises: one document, keys
 * are distinct scalars, no tags but those of YAML's own scalars, lists and mappings. Anchors,
 * aliases and merge keys (<<) are resolved during reading: the tree has none. Depth, size and
 * number of nodes are bounded, copies by aliases included: a hostile file costs milliseconds. All
 * functions: not collective. */
#ifndef RW_YAML_TREE_H
#define RW_YAML_TREE_H

#include "base/config.h"

#define RW_YAML_MAX_BYTES (1 << 20)
#define RW_YAML_MAX_NODES 10000
#define RW_YAML_MAX_DEPTH 32

typedef enum { RW_NODE_SCALAR, RW_NODE_MAP, RW_NODE_LIST } rw_node_kind;

/* The origin of a node, which decides the beginning of its messages. */
typedef enum {
    RW_FROM_DOCUMENT, /* the file */
    RW_FROM_OVERRIDE, /* --set */
    RW_FROM_PROGRAM,  /* a default, or rw_config_set() */
} rw_node_origin;

struct rw_config {
    rw_node_kind kind;
    rw_node_origin origin;
    bool plain;   /* scalar without quotes: may be a number, a boolean, null */
    bool implied; /* a mapping created by rw_config_check */
    int line;     /* from 1; 0 unless origin is the document */
    char *name;   /* root only: the file, for messages */
    char *key;    /* in a mapping */
    char *text;   /* scalar */
    rw_config *parent;
    rw_config **children; /* in the order of the document */
    size_t count, capacity;
};

/* Reads a document in UTF-8, with or without a byte-order mark. An empty document is a plain empty
 * scalar. Errors (RW_USAGE) begin with `name`, and with line and column if origin is the document.
 */
rw_status rw_node_parse(const char *text, size_t size, const char *name, rw_node_origin origin,
                        rw_config **out);
rw_status rw_node_new(rw_node_kind kind, rw_node_origin origin, rw_config **out);
/* Frees the node and all below; no parent may still hold it. NULL inside is
 * fine; clears *node. */
void rw_node_free(rw_config **node);

/* Appends *child and owns it from then on (*child is cleared). `key` is copied; NULL in lists. On
 * failure the caller still owns *child. */
rw_status rw_node_add(rw_config *parent, const char *key, rw_config **child);
/* Replaces `old`, a child of `parent`, by *child: same key and place. */
void rw_node_replace(rw_config *parent, rw_config *old, rw_config **child);
/* A copy of the node and all below, without key and parent. */
rw_status rw_node_copy(const rw_config *from, rw_config **out);
/* Nodes and bytes of text of the node and all below; levels: 1 for a scalar. */
typedef struct {
    size_t nodes, bytes;
    int height;
} rw_node_extent;
rw_node_extent rw_node_measure(const rw_config *node);
/* A child of a mapping, or NULL. */
rw_config *rw_node_find(const rw_config *map, const char *key);
/* Plain and empty, ~ or null. */
bool rw_node_is_null(const rw_config *node);

/* The node as a YAML document that reads back as the same tree. The caller
 * frees *out with rw_free. */
rw_status rw_node_write(const rw_config *node, char **out);

#endif
