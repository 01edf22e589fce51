#include "base/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/plain_file.h"
#include "base/scalar.h"
#include "base/shown_text.h"
#include "base/yaml_tree.h"

void rw_config_destroy(rw_config **config)
{
    rw_node_free(config);
}

static int depth_of(const rw_config *node)
{
    int depth = 1;
    for (; node->parent; node = node->parent) depth++;
    return depth;
}

/* Puts *value under `key` of a mapping or list, in place of the old value. A list takes its
 * indices, and one more to append. */
static rw_status put(rw_config *at, const char *key, const char *name, rw_config **value)
{
    if (depth_of(at) + rw_node_measure(*value).height > RW_YAML_MAX_DEPTH)
        return rw_fail(RW_USAGE, "%s: nested too deeply (more than 32 levels)", name);
    rw_config *old = NULL;
    if (at->kind == RW_NODE_LIST) {
        int64_t index;
        if (!rw_scalar_int(key, &index) || index < 0 || (uint64_t)index > at->count)
            return rw_fail(RW_USAGE, "%s: %.60s is no index of the list; give 0 to %zu", name, key,
                           at->count);
        if ((uint64_t)index < at->count) old = at->children[index];
        key = NULL;
    } else {
        old = rw_node_find(at, key);
    }
    if (!old) return rw_node_add(at, key, value);
    rw_node_replace(at, old, value);
    return RW_OK;
}

static rw_config *child_at(const rw_config *node, const char *key)
{
    int64_t index;
    if (node->kind != RW_NODE_LIST) return rw_node_find(node, key);
    if (!rw_scalar_int(key, &index) || index < 0 || (uint64_t)index >= node->count) return NULL;
    return node->children[index];
}

/* A step down the path of an override; creates a missing mapping. */
static rw_status descend(rw_config **at, const char *key, const char *name)
{
    rw_config *next = child_at(*at, key);
    if (!next || rw_node_is_null(next)) {
        rw_config *made = NULL;
        RW_TRY(rw_node_new(RW_NODE_MAP, RW_FROM_OVERRIDE, &made));
        rw_status status = put(*at, key, name, &made);
        rw_node_free(&made);
        if (status != RW_OK) return status;
        next = child_at(*at, key);
    }
    if (next->kind == RW_NODE_SCALAR)
        return rw_fail(RW_USAGE,
                       "%s: %.60s is the value '%.60s', not a mapping with keys of its "
                       "own",
                       name, key, next->text);
    *at = next;
    return RW_OK;
}

/* `path` is a copy of the text before '=', cut at its dots here. */
static rw_status place(rw_config *root, char *path, const char *name, rw_config **value)
{
    rw_config *at = root;
    for (char *key = path;;) {
        char *dot = strchr(key, '.');
        if (dot) *dot = '\0';
        if (!*key)
            return rw_fail(RW_USAGE,
                           "%s: a name is missing beside a dot; write --set "
                           "model.width=128",
                           name);
        if (!dot) return put(at, key, name, value);
        RW_TRY(descend(&at, key, name));
        key = dot + 1;
    }
}

static rw_status apply_override(rw_config *root, const char *override)
{
    const char *equals = strchr(override, '=');
    char name[128];
    snprintf(name, sizeof name, "--set %s", override);
    if (!equals) return rw_fail(RW_USAGE, "%s: no value; write --set model.width=128", name);
    if (!rw_is_utf8(override, strlen(override)))
        return rw_fail(RW_USAGE, "%s: not UTF-8 text; write it in UTF-8", name);
    rw_config *value = NULL;
    char *path = NULL;
    rw_status status;
    RW_TRY_DONE(rw_strdup(override, &path));
    path[equals - override] = '\0';
    RW_TRY_DONE(rw_node_parse(equals + 1, strlen(equals + 1), name, RW_FROM_OVERRIDE, &value));
    status = place(root, path, name, &value);
done:
    rw_node_free(&value);
    rw_free(&path);
    return status;
}

static rw_status parse(const char *text, size_t size, const char *name,
                       const char *const *overrides, int count, rw_config **out)
{
    rw_config *root = NULL;
    rw_status status;
    *out = NULL;
    RW_TRY_DONE(rw_node_parse(text, size, name, RW_FROM_DOCUMENT, &root));
    if (rw_node_is_null(root)) {
        rw_node_free(&root);
        RW_TRY_DONE(rw_node_new(RW_NODE_MAP, RW_FROM_DOCUMENT, &root));
    }
    if (root->kind != RW_NODE_MAP) {
        status = rw_fail(RW_USAGE, "%s:%d: not a mapping; a configuration is lines of 'key: value'",
                         name, root->line);
        goto done;
    }
    RW_TRY_DONE(rw_strdup(name, &root->name));
    for (int i = 0; i < count; i++) RW_TRY_DONE(apply_override(root, overrides[i]));
    *out = root;
    root = NULL;
done:
    rw_node_free(&root);
    return status;
}

rw_status rw_config_parse(const char *text, const char *name, const char *const *overrides,
                          int count, rw_config **out)
{
    return parse(text, strlen(text), name, overrides, count, out);
}

rw_status rw_config_load(const char *path, const char *const *overrides, int count, rw_config **out)
{
    const char *why;
    FILE *file = rw_plain_open_or_pipe(path, &why);
    char *text = NULL;
    rw_status status;
    *out = NULL;
    if (!file)
        return rw_fail(RW_USAGE, "cannot open the configuration %s: %s; check its path", path, why);
    RW_TRY_DONE(rw_alloc(RW_YAML_MAX_BYTES + 1, 1, "the text of a configuration", &text));
    size_t size = fread(text, 1, RW_YAML_MAX_BYTES + 1, file);
    if (ferror(file)) {
        status = rw_fail(RW_USAGE, "cannot read the configuration %s: %s; it must be a file", path,
                         strerror(errno));
        goto done;
    }
    status = parse(text, size, path, overrides, count, out);
done:
    rw_free(&text);
    fclose(file);
    return status;
}

/* The scalar of a key that a check has accepted. */
static const char *scalar_of(const rw_config *config, const char *key)
{
    const rw_config *node = rw_node_find(config, key);
    assert(node && node->kind == RW_NODE_SCALAR);
    return node->text;
}

bool rw_config_has(const rw_config *config, const char *key)
{
    const rw_config *node = rw_node_find(config, key);
    return node && !node->implied;
}

int64_t rw_config_int(const rw_config *config, const char *key)
{
    int64_t value = 0;
    bool is_int = rw_scalar_int(scalar_of(config, key), &value);
    assert(is_int);
    (void)is_int;
    return value;
}

double rw_config_real(const rw_config *config, const char *key)
{
    double value = 0;
    bool is_real = rw_scalar_real(scalar_of(config, key), &value);
    assert(is_real);
    (void)is_real;
    return value;
}

bool rw_config_bool(const rw_config *config, const char *key)
{
    bool value = false;
    bool is_bool = rw_scalar_bool(scalar_of(config, key), &value);
    assert(is_bool);
    (void)is_bool;
    return value;
}

const char *rw_config_string(const rw_config *config, const char *key)
{
    return scalar_of(config, key);
}

rw_config *rw_config_map(const rw_config *config, const char *key)
{
    rw_config *node = rw_node_find(config, key);
    assert(!node || node->kind == RW_NODE_MAP);
    return node;
}

int rw_config_count(const rw_config *config, const char *key)
{
    const rw_config *node = rw_node_find(config, key);
    assert(!node || node->kind == RW_NODE_LIST);
    return node ? (int)node->count : 0;
}

rw_config *rw_config_at(const rw_config *config, const char *key, int index)
{
    const rw_config *node = rw_node_find(config, key);
    assert(node && node->kind == RW_NODE_LIST && index >= 0 && (size_t)index < node->count);
    return node->children[index];
}

const char *rw_config_item(const rw_config *config, const char *key, int index)
{
    return rw_config_at(config, key, index)->text;
}

const char *rw_config_first_key(const rw_config *config)
{
    return config->kind == RW_NODE_MAP && config->count > 0 ? config->children[0]->key : NULL;
}

const char *rw_config_raw(const rw_config *config, const char *key)
{
    const rw_config *node = rw_node_find(config, key);
    return node ? node->text : NULL;
}

rw_status rw_config_set(rw_config *config, const char *key, const char *value)
{
    rw_config *node = NULL;
    RW_TRY(rw_node_parse(value, strlen(value), key, RW_FROM_PROGRAM, &node));
    rw_status status = put(config, key, key, &node);
    rw_node_free(&node);
    return status;
}

rw_status rw_config_write(const rw_config *config, char **out)
{
    return rw_node_write(config, out);
}
