#include "report/run_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_file.h"

#define TEXT_MAX (1 << 20)

static void parse(rw_run_config *config)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return;
    yaml_parser_set_input_string(&parser, (const unsigned char *)config->text,
                                 strlen(config->text));
    config->parsed = yaml_parser_load(&parser, &config->document);
    yaml_parser_delete(&parser);
}

rw_status rw_run_config_read(const char *path, rw_run_config *out)
{
    *out = (rw_run_config){0};
    RW_TRY(rw_alloc(TEXT_MAX + 1, 1, "the text of config.yaml", &out->text));
    const char *why;
    FILE *file = rw_plain_open(path, &why);
    if (!file && errno == ENOENT) return RW_OK;
    if (!file) return rw_fail(RW_ERROR, "cannot read %s: %s", path, why);
    rw_status status = RW_OK;
    out->text[fread(out->text, 1, TEXT_MAX, file)] = '\0';
    if (ferror(file)) status = rw_fail(RW_ERROR, "cannot read %s: %s", path, strerror(errno));
    fclose(file);
    if (status == RW_OK) parse(out);
    return status;
}

void rw_run_config_free(rw_run_config *config)
{
    if (config->parsed) yaml_document_delete(&config->document);
    rw_free(&config->text);
    *config = (rw_run_config){0};
}

static const char *scalar(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static yaml_node_t *member(yaml_document_t *document, const yaml_node_t *map, const char *key,
                           size_t length)
{
    if (!map || map->type != YAML_MAPPING_NODE) return NULL;
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
         pair++) {
        const char *name = scalar(yaml_document_get_node(document, pair->key));
        if (name && strlen(name) == length && !memcmp(name, key, length))
            return yaml_document_get_node(document, pair->value);
    }
    return NULL;
}

static yaml_node_t *find(rw_run_config *config, const char *path)
{
    yaml_node_t *node = config->parsed ? yaml_document_get_root_node(&config->document) : NULL;
    while (node && *path) {
        size_t length = strcspn(path, ".");
        node = member(&config->document, node, path, length);
        path += length + (path[length] == '.');
    }
    return node;
}

const char *rw_run_config_get(rw_run_config *config, const char *path)
{
    return scalar(find(config, path));
}

/* A text that grows; the owner frees it. */
typedef struct {
    char *text;
    size_t used, capacity;
} growing;

/* Appends "separator word", the first time the word alone. */
static rw_status append(growing *g, const char *separator, const char *word)
{
    size_t most = strlen(separator) + strlen(word) + 1;
    RW_TRY(rw_grow(&g->text, &g->capacity, g->used + most, 1));
    g->used += (size_t)snprintf(g->text + g->used, most, "%s%s", g->used ? separator : "", word);
    return RW_OK;
}

/* The text, or an empty text after a failure. */
static rw_status hand_over(rw_status status, growing *g, char **out)
{
    if (status == RW_OK) status = append(g, "", "");
    if (status != RW_OK) rw_free(&g->text);
    *out = g->text;
    return status;
}

static rw_status list_blocks(rw_run_config *config, const yaml_node_t *blocks, growing *out)
{
    for (yaml_node_item_t *item = blocks->data.sequence.items.start;
         item < blocks->data.sequence.items.top; item++) {
        yaml_node_t *block = yaml_document_get_node(&config->document, *item);
        if (!block || block->type != YAML_MAPPING_NODE) continue;
        yaml_node_pair_t *first = block->data.mapping.pairs.start;
        if (first == block->data.mapping.pairs.top) continue;
        const char *name = scalar(yaml_document_get_node(&config->document, first->value));
        if (name) RW_TRY(append(out, ", ", name));
    }
    return RW_OK;
}

rw_status rw_run_config_blocks(rw_run_config *config, char **out)
{
    growing text = {0};
    yaml_node_t *blocks = find(config, "model.blocks");
    bool known = blocks && blocks->type == YAML_SEQUENCE_NODE;
    return hand_over(known ? list_blocks(config, blocks, &text) : RW_OK, &text, out);
}

static rw_status list_options(rw_run_config *config, const yaml_node_t *map, growing *out)
{
    if (map->data.mapping.pairs.start == map->data.mapping.pairs.top) return RW_OK;
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start + 1;
         pair < map->data.mapping.pairs.top; pair++) {
        const char *key = scalar(yaml_document_get_node(&config->document, pair->key));
        const char *value = scalar(yaml_document_get_node(&config->document, pair->value));
        if (!key || !value) continue;
        RW_TRY(append(out, ", ", key));
        RW_TRY(append(out, " ", value));
    }
    return RW_OK;
}

rw_status rw_run_config_options(rw_run_config *config, const char *path, char **out)
{
    growing text = {0};
    yaml_node_t *map = find(config, path);
    bool known = map && map->type == YAML_MAPPING_NODE;
    return hand_over(known ? list_options(config, map, &text) : RW_OK, &text, out);
}
