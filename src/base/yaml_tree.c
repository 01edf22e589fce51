#include "base/yaml_tree.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/memory.h"

typedef struct {
    yaml_parser_t yaml;
    const char *text;
    size_t size;
    const char *name;
    rw_node_origin origin;
    int nodes;
} reader;

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

/* "train.yaml:3:7: what"; an override has no lines worth naming. */
static rw_status refuse(const reader *in, const yaml_mark_t *mark, const char *what)
{
    if (in->origin == RW_FROM_DOCUMENT)
        return rw_fail(RW_USAGE, "%s:%zu:%zu: %s", in->name, mark->line + 1, mark->column + 1,
                       what);
    return rw_fail(RW_USAGE, "%s: %s", in->name, what);
}

/* Does the indentation of a line (from 0) hold a tab? The commonest mistake,
 * and libyaml's message for it does not say so. */
static bool indented_by_tab(const reader *in, size_t line)
{
    const char *at = in->text, *end = in->text + in->size;
    for (; line > 0 && at < end; at++)
        if (*at == '\n') line--;
    while (at < end && *at == ' ') at++;
    return at < end && *at == '\t';
}

static size_t line_of_byte(const reader *in, size_t offset)
{
    size_t line = 0;
    for (size_t i = 0; i < offset && i < in->size; i++) line += in->text[i] == '\n';
    return line;
}

static rw_status refuse_syntax(const reader *in)
{
    const yaml_parser_t *yaml = &in->yaml;
    yaml_mark_t mark = yaml->problem_mark;
    if (yaml->error == YAML_MEMORY_ERROR)
        return rw_fail(RW_ERROR, "%s: out of memory while reading", in->name);
    if (yaml->error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){.line = line_of_byte(in, yaml->problem_offset)};
        return refuse(in, &mark,
                      "not plain UTF-8 text; save the file as UTF-8 without control "
                      "characters");
    }
    if (indented_by_tab(in, mark.line))
        return refuse(in, &mark, "indented with a tab; YAML wants spaces");
    char what[256];
    snprintf(what, sizeof what, "not valid YAML: %s%s%s", yaml->context ? yaml->context : "",
             yaml->context ? ", " : "", yaml->problem ? yaml->problem : "unknown problem");
    return refuse(in, &mark, what);
}

/* The next event, refused if it uses what this subset leaves out. The caller
 * deletes it, also after a failure. */
static rw_status next_event(reader *in, yaml_event_t *event)
{
    if (!yaml_parser_parse(&in->yaml, event)) {
        event->type = YAML_NO_EVENT;
        return refuse_syntax(in);
    }
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor || event->type == YAML_ALIAS_EVENT)
        return refuse(in, &event->start_mark,
                      "anchors and aliases (&name, *name) are not understood; write the value out, "
                      "or quote it");
    if (tag)
        return refuse(in, &event->start_mark,
                      "tags (!name) are not understood; leave it out, or quote the value");
    return RW_OK;
}

static rw_status read_node(reader *in, const yaml_event_t *event, int depth, rw_config **out);

static rw_status read_scalar(reader *in, const yaml_event_t *event, rw_config *node)
{
    const char *value = (const char *)event->data.scalar.value;
    if (strlen(value) != event->data.scalar.length)
        return refuse(in, &event->start_mark, "a NUL byte in a value; remove it");
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return rw_strdup(value, &node->text);
}

static rw_status read_list(reader *in, int depth, rw_config *list)
{
    yaml_event_t event = {0};
    rw_config *child = NULL;
    rw_status status;
    for (;;) {
        RW_TRY_DONE(next_event(in, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT) break;
        RW_TRY_DONE(read_node(in, &event, depth, &child));
        RW_TRY_DONE(rw_node_add(list, NULL, &child));
        yaml_event_delete(&event);
    }
done:
    yaml_event_delete(&event);
    rw_node_free(&child);
    return status;
}

static rw_status check_key(const reader *in, const yaml_event_t *event, const rw_config *map)
{
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(in, &event->start_mark, "a list or mapping as a key; keys are plain names");
    const char *key = (const char *)event->data.scalar.value;
    if (strlen(key) != event->data.scalar.length)
        return refuse(in, &event->start_mark, "a NUL byte in a key; remove it");
    const rw_config *first = rw_node_find(map, key);
    if (!first) return RW_OK;
    char what[160];
    snprintf(what, sizeof what, "key %.60s is here a second time (first in line %d); keep one", key,
             first->line);
    return refuse(in, &event->start_mark, what);
}

static rw_status read_map(reader *in, int depth, rw_config *map)
{
    yaml_event_t key = {0}, event = {0};
    rw_config *child = NULL;
    rw_status status;
    for (;;) {
        RW_TRY_DONE(next_event(in, &key));
        if (key.type == YAML_MAPPING_END_EVENT) break;
        RW_TRY_DONE(check_key(in, &key, map));
        RW_TRY_DONE(next_event(in, &event));
        RW_TRY_DONE(read_node(in, &event, depth, &child));
        /* The line of the key: that of an empty value may be the next one. */
        if (child->line) child->line = (int)key.start_mark.line + 1;
        RW_TRY_DONE(rw_node_add(map, (const char *)key.data.scalar.value, &child));
        yaml_event_delete(&key);
        yaml_event_delete(&event);
    }
done:
    yaml_event_delete(&key);
    yaml_event_delete(&event);
    rw_node_free(&child);
    return status;
}

static rw_status read_node(reader *in, const yaml_event_t *event, int depth, rw_config **out)
{
    rw_node_kind kind = event->type == YAML_SCALAR_EVENT          ? RW_NODE_SCALAR
                        : event->type == YAML_MAPPING_START_EVENT ? RW_NODE_MAP
                                                                  : RW_NODE_LIST;
    if (depth > RW_YAML_MAX_DEPTH)
        return refuse(in, &event->start_mark, "nested too deeply (more than 32 levels)");
    if (++in->nodes > RW_YAML_MAX_NODES)
        return refuse(in, &event->start_mark, "too large: more than 10000 values");
    RW_TRY(rw_node_new(kind, in->origin, out));
    if (in->origin == RW_FROM_DOCUMENT) (*out)->line = (int)event->start_mark.line + 1;
    rw_status status = kind == RW_NODE_SCALAR ? read_scalar(in, event, *out)
                       : kind == RW_NODE_MAP  ? read_map(in, depth + 1, *out)
                                              : read_list(in, depth + 1, *out);
    if (status != RW_OK) rw_node_free(out);
    return status;
}

static rw_status read_document(reader *in, rw_config **out)
{
    yaml_event_t event = {0};
    rw_status status;
    do { /* stream start, document start */
        yaml_event_delete(&event);
        RW_TRY_DONE(next_event(in, &event));
    } while (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT);
    if (event.type == YAML_STREAM_END_EVENT) {
        RW_TRY_DONE(rw_node_new(RW_NODE_SCALAR, in->origin, out));
        (*out)->plain = true;
        status = rw_strdup("", &(*out)->text);
        goto done;
    }
    RW_TRY_DONE(read_node(in, &event, 1, out));
    do { /* document end */
        yaml_event_delete(&event);
        RW_TRY_DONE(next_event(in, &event));
    } while (event.type == YAML_DOCUMENT_END_EVENT);
    if (event.type != YAML_STREAM_END_EVENT)
        status = refuse(in, &event.start_mark, "a second document (---); keep one in a file");
done:
    yaml_event_delete(&event);
    if (status != RW_OK) rw_node_free(out);
    return status;
}

rw_status rw_node_parse(const char *text, size_t size, const char *name, rw_node_origin origin,
                        rw_config **out)
{
    *out = NULL;
    if (size > RW_YAML_MAX_BYTES)
        return rw_fail(RW_USAGE, "%s: larger than 1 MiB; is it a configuration?", name);
    reader in = {.text = text, .size = size, .name = name, .origin = origin};
    if (!yaml_parser_initialize(&in.yaml))
        return rw_fail(RW_ERROR, "%s: out of memory while reading", name);
    yaml_parser_set_encoding(&in.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&in.yaml, (const unsigned char *)text, size);
    rw_status status = read_document(&in, out);
    yaml_parser_delete(&in.yaml);
    return status;
}
