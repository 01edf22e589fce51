#include "base/yaml_tree.h"

#include <string.h>

#include "base/memory.h"

rw_status rw_node_new(rw_node_kind kind, rw_node_origin origin, rw_config **out)
{
    RW_TRY(rw_alloc(1, sizeof **out, "a configuration node", out));
    (*out)->kind = kind;
    (*out)->origin = origin;
    return RW_OK;
}

void rw_node_free(rw_config **node)
{
    rw_config *it = *node;
    if (!it) return;
    for (size_t i = 0; i < it->count; i++) rw_node_free(&it->children[i]);
    rw_free(&it->children);
    rw_free(&it->name);
    rw_free(&it->key);
    rw_free(&it->text);
    rw_free(node);
}

rw_status rw_node_add(rw_config *parent, const char *key, rw_config **child)
{
    RW_TRY(rw_grow(&parent->children, &parent->capacity, parent->count + 1, sizeof *child));
    if (key) RW_TRY(rw_strdup(key, &(*child)->key));
    (*child)->parent = parent;
    parent->children[parent->count++] = *child;
    *child = NULL;
    return RW_OK;
}

void rw_node_replace(rw_config *parent, rw_config *old, rw_config **child)
{
    size_t i = 0;
    while (parent->children[i] != old) i++;
    (*child)->key = old->key;
    (*child)->parent = parent;
    old->key = NULL;
    parent->children[i] = *child;
    *child = NULL;
    rw_node_free(&old);
}

rw_config *rw_node_find(const rw_config *map, const char *key)
{
    if (map->kind != RW_NODE_MAP) return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->children[i]->key, key) == 0) return map->children[i];
    return NULL;
}

bool rw_node_is_null(const rw_config *node)
{
    return node->kind == RW_NODE_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}

static rw_status copy_text(const char *text, char **out)
{
    return text ? rw_strdup(text, out) : RW_OK;
}

rw_status rw_node_copy(const rw_config *from, rw_config **out)
{
    rw_config *copy = NULL, *child = NULL;
    rw_status status;
    RW_TRY_DONE(rw_node_new(from->kind, from->origin, &copy));
    copy->plain = from->plain;
    copy->line = from->line;
    RW_TRY_DONE(copy_text(from->text, &copy->text));
    for (size_t i = 0; i < from->count; i++) {
        RW_TRY_DONE(rw_node_copy(from->children[i], &child));
        RW_TRY_DONE(rw_node_add(copy, from->children[i]->key, &child));
    }
    *out = copy;
    return RW_OK;
done:
    rw_node_free(&child);
    rw_node_free(&copy);
    return status;
}

rw_node_extent rw_node_measure(const rw_config *node)
{
    rw_node_extent all = {.nodes = 1, .bytes = node->text ? strlen(node->text) : 0};
    for (size_t i = 0; i < node->count; i++) {
        rw_node_extent one = rw_node_measure(node->children[i]);
        if (node->children[i]->key) one.bytes += strlen(node->children[i]->key);
        all.nodes += one.nodes;
        all.bytes += one.bytes;
        if (one.height > all.height) all.height = one.height;
    }
    all.height++;
    return all;
}
