/* Reading YAML: libyaml's events become a tree, bounded in every way. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/memory.h"
#include "base/yaml_anchors.h"
#include "base/yaml_tree.h"

#define TAG_PREFIX "tag:yaml.org,2002:"
#define MERGE_KEY  "<<"

typedef struct {
    yaml_parser_t yaml;
    const char *text;
    size_t size;
    const char *name;
    rw_node_origin origin;
    size_t nodes;  /* nodes of the tree; copies by aliases count each time */
    size_t copied; /* bytes of text that aliases copied */
    rw_anchors anchors;
} reader;

/* "train.yaml:3:7: what"; for an override without line and column. */
static rw_status refuse(const reader *in, const yaml_mark_t *mark, const char *what)
{
    if (in->origin == RW_FROM_DOCUMENT)
        return rw_fail(RW_USAGE, "%s:%zu:%zu: %s", in->name, mark->line + 1, mark->column + 1,
                       what);
    return rw_fail(RW_USAGE, "%s: %s", in->name, what);
}

/* The same error, with a name from the document: "what1 NAME what2". */
static rw_status refuse_name(const reader *in, const yaml_mark_t *mark, const char *before,
                             const char *name, const char *after)
{
    char what[320];
    snprintf(what, sizeof what, "%s%.60s%s", before, name, after);
    return refuse(in, mark, what);
}

/* ---- Syntax ------------------------------------------------------------------- */

/* Does a line begin at `at`? Lines end in LF, CR or CR LF. */
static bool begins_line(const reader *in, size_t at)
{
    if (at == 0) return true;
    char before = in->text[at - 1];
    return before == '\n' || (before == '\r' && in->text[at] != '\n');
}

/* Does the indentation of a line (from 0) hold a tab? The commonest mistake; libyaml's message does
 * not name it. */
static bool indented_by_tab(const reader *in, size_t line)
{
    size_t at = 0;
    for (size_t i = 1; i < in->size && line > 0; i++)
        if (begins_line(in, i)) {
            line--;
            at = i;
        }
    while (line == 0 && at < in->size && in->text[at] == ' ') at++;
    return line == 0 && at < in->size && in->text[at] == '\t';
}

static size_t line_of_byte(const reader *in, size_t offset)
{
    size_t line = 0;
    for (size_t i = 1; i <= offset && i < in->size; i++) line += begins_line(in, i);
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
                      "not plain UTF-8 text; write it in UTF-8, without control characters");
    }
    if (indented_by_tab(in, mark.line))
        return refuse(in, &mark, "indented with a tab; YAML wants spaces");
    char what[256];
    snprintf(what, sizeof what, "not valid YAML: %s%s%s", yaml->context ? yaml->context : "",
             yaml->context ? ", " : "", yaml->problem ? yaml->problem : "unknown problem");
    return refuse(in, &mark, what);
}

/* The next event. The caller deletes it, also after a failure. */
static rw_status next_event(reader *in, yaml_event_t *event)
{
    if (yaml_parser_parse(&in->yaml, event)) return RW_OK;
    event->type = YAML_NO_EVENT;
    return refuse_syntax(in);
}

static const char *anchor_of(const yaml_event_t *event)
{
    const yaml_char_t *anchor = event->type == YAML_SCALAR_EVENT ? event->data.scalar.anchor
                                : event->type == YAML_SEQUENCE_START_EVENT
                                    ? event->data.sequence_start.anchor
                                    : event->data.mapping_start.anchor;
    return (const char *)anchor;
}

static const char *tag_of(const yaml_event_t *event)
{
    const yaml_char_t *tag = event->type == YAML_SCALAR_EVENT ? event->data.scalar.tag
                             : event->type == YAML_SEQUENCE_START_EVENT
                                 ? event->data.sequence_start.tag
                                 : event->data.mapping_start.tag;
    return (const char *)tag;
}

/* ---- Tags --------------------------------------------------------------------- */

static rw_status refuse_tag(const reader *in, const yaml_event_t *event, const char *tag)
{
    size_t prefix = strlen(TAG_PREFIX);
    bool standard = strncmp(tag, TAG_PREFIX, prefix) == 0;
    return refuse_name(in, &event->start_mark, standard ? "the tag !!" : "the tag ",
                       standard ? tag + prefix : tag,
                       " is not understood here; leave it out, or quote the value");
}

/* Does the tag fit a node of this kind? Sets *plain: what a scalar with the tag may be. */
static bool tag_fits(const char *tag, rw_node_kind kind, bool *plain)
{
    static const struct {
        const char *tag;
        rw_node_kind kind;
        bool plain;
    } known[] = {
        {TAG_PREFIX "str", RW_NODE_SCALAR, false},  {"!", RW_NODE_SCALAR, false},
        {TAG_PREFIX "int", RW_NODE_SCALAR, true},   {TAG_PREFIX "float", RW_NODE_SCALAR, true},
        {TAG_PREFIX "bool", RW_NODE_SCALAR, true},  {TAG_PREFIX "null", RW_NODE_SCALAR, true},
        {TAG_PREFIX "merge", RW_NODE_SCALAR, true}, {TAG_PREFIX "map", RW_NODE_MAP, false},
        {TAG_PREFIX "seq", RW_NODE_LIST, false}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(tag, known[i].tag) == 0 && kind == known[i].kind) {
            *plain = known[i].plain;
            return true;
        }
    return false;
}

static rw_status apply_tag(const reader *in, const yaml_event_t *event, rw_config *node)
{
    const char *tag = tag_of(event);
    if (!tag) return RW_OK;
    bool null = strcmp(tag, TAG_PREFIX "null") == 0;
    if (!tag_fits(tag, node->kind, &node->plain) || (null && !rw_node_is_null(node)))
        return refuse_tag(in, event, tag);
    return RW_OK;
}

/* ---- Nodes -------------------------------------------------------------------- */

static rw_status read_node(reader *in, const yaml_event_t *event, int depth, rw_config **out);

/* Counts nodes that the tree gets. */
static rw_status count_nodes(reader *in, const yaml_event_t *event, size_t nodes)
{
    in->nodes += nodes;
    if (in->nodes <= RW_YAML_MAX_NODES) return RW_OK;
    return refuse(in, &event->start_mark,
                  nodes > 1
                      ? "too large: more than 10000 values, those that aliases copy among them"
                      : "too large: more than 10000 values");
}

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

/* A copy of the node of an alias (*name). */
static rw_status read_alias(reader *in, const yaml_event_t *event, int depth, rw_config **out)
{
    const char *name = (const char *)event->data.alias.anchor;
    const rw_anchor *anchor = rw_anchors_find(&in->anchors, name);
    if (!anchor)
        return refuse_name(in, &event->start_mark, "there is no anchor &", name,
                           " above this alias; check the name, or quote the value");
    if (!anchor->node)
        return refuse_name(in, &event->start_mark, "the alias *", name,
                           " stands inside of what it stands for");
    rw_node_extent extent = rw_node_measure(anchor->node);
    RW_TRY(count_nodes(in, event, extent.nodes));
    in->copied += extent.bytes;
    if (in->copied > RW_YAML_MAX_BYTES)
        return refuse(in, &event->start_mark, "too large: aliases copy more than 1 MiB");
    if (depth - 1 + extent.height > RW_YAML_MAX_DEPTH)
        return refuse(in, &event->start_mark, "nested too deeply (more than 32 levels)");
    RW_TRY(rw_node_copy(anchor->node, out));
    if (in->origin == RW_FROM_DOCUMENT) (*out)->line = (int)event->start_mark.line + 1;
    return RW_OK;
}

/* ---- Mappings ------------------------------------------------------------------ */

/* A key, as a scalar. */
static rw_status read_key(reader *in, const yaml_event_t *event, rw_config **out)
{
    size_t anchor;
    if (event->type == YAML_ALIAS_EVENT) {
        RW_TRY(read_alias(in, event, 1, out));
        if ((*out)->kind == RW_NODE_SCALAR) return RW_OK;
        return refuse(in, &event->start_mark, "a list or mapping as a key; keys are plain names");
    }
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(in, &event->start_mark, "a list or mapping as a key; keys are plain names");
    if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return refuse(in, &event->start_mark, "a NUL byte in a key; remove it");
    RW_TRY(rw_anchors_begin(&in->anchors, anchor_of(event), &anchor));
    RW_TRY(rw_node_new(RW_NODE_SCALAR, in->origin, out));
    RW_TRY(read_scalar(in, event, *out));
    RW_TRY(apply_tag(in, event, *out));
    rw_anchors_end(&in->anchors, anchor, *out);
    return RW_OK;
}

static rw_status check_key(const reader *in, const yaml_event_t *event, const char *key,
                           const rw_config *first)
{
    char what[160];
    if (!first) return RW_OK;
    snprintf(what, sizeof what, "key %.60s is here a second time (first in line %d); keep one", key,
             first->line);
    return refuse(in, &event->start_mark, what);
}

/* Merges a source into the map: a mapping, or all mappings of a list, the first before the next. */
static rw_status merge(reader *in, const yaml_event_t *event, rw_config *map,
                       const rw_config *source)
{
    if (source->kind == RW_NODE_MAP) {
        RW_TRY(count_nodes(in, event, rw_node_measure(source).nodes));
        return rw_node_merge(map, source);
    }
    bool maps = source->kind == RW_NODE_LIST;
    for (size_t i = 0; maps && i < source->count; i++)
        maps = source->children[i]->kind == RW_NODE_MAP;
    if (!maps)
        return refuse(in, &event->start_mark,
                      "the merge key << takes a mapping or a list of mappings, such as *name");
    for (size_t i = 0; i < source->count; i++) RW_TRY(merge(in, event, map, source->children[i]));
    return RW_OK;
}

/* The keys of a mapping in order; *source: the value of its merge key. */
static rw_status read_pair(reader *in, const yaml_event_t *key_event, int depth, rw_config *map,
                           rw_config **source)
{
    yaml_event_t event = {0};
    rw_config *key = NULL, *child = NULL;
    rw_status status;
    RW_TRY_DONE(read_key(in, key_event, &key));
    bool merges = key->plain && strcmp(key->text, MERGE_KEY) == 0;
    const rw_config *first = merges ? *source : rw_node_find(map, key->text);
    RW_TRY_DONE(check_key(in, key_event, key->text, first));
    RW_TRY_DONE(next_event(in, &event));
    RW_TRY_DONE(read_node(in, &event, depth, &child));
    /* The line of the key: an empty value may be on the next line. */
    if (child->line) child->line = (int)key_event->start_mark.line + 1;
    if (merges) {
        *source = child;
        status = rw_anchors_keep(&in->anchors, &child);
        if (status != RW_OK) *source = NULL;
    } else {
        status = rw_node_add(map, key->text, &child);
    }
    if (status == RW_OK && key_event->type == YAML_SCALAR_EVENT && anchor_of(key_event))
        status = rw_anchors_keep(&in->anchors, &key);
done:
    yaml_event_delete(&event);
    rw_node_free(&key);
    rw_node_free(&child);
    return status;
}

static rw_status read_map(reader *in, int depth, rw_config *map)
{
    yaml_event_t key = {0};
    rw_config *source = NULL;
    rw_status status;
    for (;;) {
        RW_TRY_DONE(next_event(in, &key));
        if (key.type == YAML_MAPPING_END_EVENT) break;
        RW_TRY_DONE(read_pair(in, &key, depth, map, &source));
        yaml_event_delete(&key);
    }
    if (source) status = merge(in, &key, map, source);
done:
    yaml_event_delete(&key);
    return status;
}

static rw_status read_new(reader *in, const yaml_event_t *event, rw_node_kind kind, int depth,
                          rw_config *node)
{
    if (in->origin == RW_FROM_DOCUMENT) node->line = (int)event->start_mark.line + 1;
    if (kind == RW_NODE_SCALAR) RW_TRY(read_scalar(in, event, node));
    RW_TRY(apply_tag(in, event, node));
    if (kind == RW_NODE_MAP) return read_map(in, depth + 1, node);
    return kind == RW_NODE_LIST ? read_list(in, depth + 1, node) : RW_OK;
}

static rw_status read_node(reader *in, const yaml_event_t *event, int depth, rw_config **out)
{
    rw_node_kind kind = event->type == YAML_SCALAR_EVENT          ? RW_NODE_SCALAR
                        : event->type == YAML_MAPPING_START_EVENT ? RW_NODE_MAP
                                                                  : RW_NODE_LIST;
    size_t anchor;
    if (event->type == YAML_ALIAS_EVENT) return read_alias(in, event, depth, out);
    if (depth > RW_YAML_MAX_DEPTH)
        return refuse(in, &event->start_mark, "nested too deeply (more than 32 levels)");
    RW_TRY(count_nodes(in, event, 1));
    RW_TRY(rw_anchors_begin(&in->anchors, anchor_of(event), &anchor));
    RW_TRY(rw_node_new(kind, in->origin, out));
    rw_status status = read_new(in, event, kind, depth, *out);
    if (status != RW_OK)
        rw_node_free(out);
    else
        rw_anchors_end(&in->anchors, anchor, *out);
    return status;
}

/* ---- Documents ------------------------------------------------------------------ */

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

/* Text of other encodings, by a byte-order mark or by the NUL of an ASCII character. */
static const char *other_encoding(const unsigned char *text, size_t size)
{
    if (size >= 4 && (memcmp(text, "\xff\xfe\0\0", 4) == 0 || memcmp(text, "\0\0\xfe\xff", 4) == 0))
        return "UTF-32";
    if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return "UTF-16";
    if (size >= 2 && (!text[0] != !text[1])) return "UTF-16";
    return NULL;
}

rw_status rw_node_parse(const char *text, size_t size, const char *name, rw_node_origin origin,
                        rw_config **out)
{
    static const char mark[] = "\xef\xbb\xbf";
    *out = NULL;
    if (size > RW_YAML_MAX_BYTES)
        return rw_fail(RW_USAGE, "%s: larger than 1 MiB; is it a configuration?", name);
    const char *encoding = other_encoding((const unsigned char *)text, size);
    if (encoding) return rw_fail(RW_USAGE, "%s: %s text; save it as UTF-8", name, encoding);
    if (size >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        size -= 3;
    }
    reader in = {.text = text, .size = size, .name = name, .origin = origin};
    if (!yaml_parser_initialize(&in.yaml))
        return rw_fail(RW_ERROR, "%s: out of memory while reading", name);
    yaml_parser_set_encoding(&in.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&in.yaml, (const unsigned char *)text, size);
    rw_status status = read_document(&in, out);
    yaml_parser_delete(&in.yaml);
    rw_anchors_free(&in.anchors);
    return status;
}
