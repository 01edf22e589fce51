#include <string.h>
#include <yaml.h>

#include "base/memory.h"
#include "base/yaml_tree.h"

typedef struct {
    yaml_emitter_t yaml;
    char *text;
    size_t size, capacity;
} writer;

/* libyaml's output callback: 1 on success. */
static int append(void *data, unsigned char *bytes, size_t count)
{
    writer *out = data;
    if (rw_grow(&out->text, &out->capacity, out->size + count + 1, 1) != RW_OK) return 0;
    memcpy(out->text + out->size, bytes, count);
    out->size += count;
    out->text[out->size] = '\0';
    return 1;
}

/* Sends an event; `made` is the result of its initialisation. */
static rw_status emit(writer *out, int made, yaml_event_t *event)
{
    if (made && yaml_emitter_emit(&out->yaml, event)) return RW_OK;
    return rw_fail(RW_ERROR, "cannot write the configuration: %s",
                   out->yaml.problem ? out->yaml.problem : "out of memory");
}

static rw_status write_scalar(writer *out, const char *text, bool plain)
{
    yaml_event_t event;
    yaml_scalar_style_t style = plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return emit(out,
                yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                             (int)strlen(text), plain, true, style),
                &event);
}

/* A block of a model, {mixer: ssd, state: 64}, reads best on one line. */
static bool fits_one_line(const rw_config *map)
{
    size_t length = 0;
    for (size_t i = 0; i < map->count; i++) {
        const rw_config *child = map->children[i];
        if (child->kind != RW_NODE_SCALAR) return false;
        length += strlen(child->key) + strlen(child->text) + 4;
    }
    return map->parent && map->parent->kind == RW_NODE_LIST && length < 80;
}

static rw_status write_node(writer *out, const rw_config *node);

static rw_status write_map(writer *out, const rw_config *map)
{
    yaml_event_t event;
    yaml_mapping_style_t style =
        fits_one_line(map) ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;
    RW_TRY(emit(out, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style), &event));
    for (size_t i = 0; i < map->count; i++) {
        const rw_config *child = map->children[i];
        if (child->implied && child->count == 0) continue;
        /* Plain, "<<" would be a merge key. */
        bool plain = child->key[0] != '\0' && strcmp(child->key, "<<") != 0;
        RW_TRY(write_scalar(out, child->key, plain));
        RW_TRY(write_node(out, child));
    }
    return emit(out, yaml_mapping_end_event_initialize(&event), &event);
}

static rw_status write_list(writer *out, const rw_config *list)
{
    bool scalars = list->count > 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->children[i]->kind != RW_NODE_SCALAR) scalars = false;
    yaml_event_t event;
    yaml_sequence_style_t style = scalars ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
    RW_TRY(emit(out, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style), &event));
    for (size_t i = 0; i < list->count; i++) RW_TRY(write_node(out, list->children[i]));
    return emit(out, yaml_sequence_end_event_initialize(&event), &event);
}

static rw_status write_node(writer *out, const rw_config *node)
{
    if (node->kind == RW_NODE_MAP) return write_map(out, node);
    if (node->kind == RW_NODE_LIST) return write_list(out, node);
    /* An empty plain value would be dropped inside of a flow list. */
    return rw_node_is_null(node) ? write_scalar(out, "null", true)
                                 : write_scalar(out, node->text, node->plain);
}

static rw_status write_document(writer *out, const rw_config *node)
{
    yaml_event_t event;
    RW_TRY(emit(out, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event));
    RW_TRY(emit(out, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event));
    RW_TRY(write_node(out, node));
    RW_TRY(emit(out, yaml_document_end_event_initialize(&event, 1), &event));
    return emit(out, yaml_stream_end_event_initialize(&event), &event);
}

rw_status rw_node_write(const rw_config *node, char **out)
{
    writer to = {0};
    *out = NULL;
    if (!yaml_emitter_initialize(&to.yaml))
        return rw_fail(RW_ERROR, "out of memory while writing the configuration");
    yaml_emitter_set_output(&to.yaml, append, &to);
    yaml_emitter_set_unicode(&to.yaml, 1);
    yaml_emitter_set_width(&to.yaml, -1); /* never fold a long string */
    rw_status status = write_document(&to, node);
    yaml_emitter_delete(&to.yaml);
    if (status == RW_OK)
        *out = to.text;
    else
        rw_free(&to.text);
    return status;
}
