#include "base/yaml_anchors.h"

#include <string.h>

#include "base/memory.h"

void rw_anchors_free(rw_anchors *anchors)
{
    for (size_t i = 0; i < anchors->count; i++) rw_free(&anchors->list[i].name);
    rw_free(&anchors->list);
    rw_node_free(&anchors->kept);
    *anchors = (rw_anchors){0};
}

rw_status rw_anchors_begin(rw_anchors *anchors, const char *name, size_t *index)
{
    *index = RW_NO_ANCHOR;
    if (!name) return RW_OK;
    RW_TRY(rw_grow(&anchors->list, &anchors->capacity, anchors->count + 1, sizeof *anchors->list));
    RW_TRY(rw_strdup(name, &anchors->list[anchors->count].name));
    *index = anchors->count++;
    return RW_OK;
}

void rw_anchors_end(rw_anchors *anchors, size_t index, const rw_config *node)
{
    if (index != RW_NO_ANCHOR) anchors->list[index].node = node;
}

const rw_anchor *rw_anchors_find(const rw_anchors *anchors, const char *name)
{
    for (size_t i = anchors->count; i > 0; i--)
        if (strcmp(anchors->list[i - 1].name, name) == 0) return &anchors->list[i - 1];
    return NULL;
}

rw_status rw_anchors_keep(rw_anchors *anchors, rw_config **node)
{
    if (!anchors->kept) RW_TRY(rw_node_new(RW_NODE_LIST, RW_FROM_PROGRAM, &anchors->kept));
    return rw_node_add(anchors->kept, NULL, node);
}

rw_status rw_node_merge(rw_config *map, const rw_config *from)
{
    rw_config *copy = NULL;
    size_t own = map->count;
    rw_status status = RW_OK;
    for (size_t i = 0; i < from->count; i++) {
        if (rw_node_find(map, from->children[i]->key)) continue;
        RW_TRY_DONE(rw_node_copy(from->children[i], &copy));
        RW_TRY_DONE(rw_node_add(map, from->children[i]->key, &copy));
    }
    /* Moves the appended part to the front: | own | new | -> | new | own |. */
    for (size_t added = 0; own + added < map->count; added++) {
        rw_config *child = map->children[own + added];
        memmove(&map->children[added + 1], &map->children[added], own * sizeof(rw_config *));
        map->children[added] = child;
    }
done:
    rw_node_free(&copy);
    return status;
}
