/* The checks of a configuration against tables of keys, and their messages. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/scalar.h"
#include "base/yaml_tree.h"

#define TEXT_SIZE 256

/* Appends to a bounded text; the rest is cut off. */
static void append(char text[TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(char text[TEXT_SIZE], const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, TEXT_SIZE - used, format, arguments);
    va_end(arguments);
}

/* Appends "model.blocks.0", or nothing for the root. */
static void append_path(char text[TEXT_SIZE], const rw_config *node)
{
    if (!node->parent) return;
    append_path(text, node->parent);
    if (node->parent->parent) append(text, ".");
    if (node->key) {
        append(text, "%.60s", node->key);
        return;
    }
    size_t index = 0;
    while (node->parent->children[index] != node) index++;
    append(text, "%zu", index);
}

/* The place of a node: "train.yaml:12: ", "--set: ", or for a default, the line of its mapping. */
static void append_place(char text[TEXT_SIZE], const rw_config *node)
{
    const rw_config *written = node, *root = node;
    while (root->parent) root = root->parent;
    while (written->parent && written->origin == RW_FROM_PROGRAM) written = written->parent;
    if (written->origin == RW_FROM_OVERRIDE)
        append(text, "--set: ");
    else if (written->parent && written->line)
        append(text, "%.100s:%d: ", root->name, written->line);
    else
        append(text, "%.100s: ", root->name);
}

rw_status rw_config_fail(const rw_config *config, const char *key, const char *format, ...)
{
    char where[TEXT_SIZE] = "", what[RW_MESSAGE_SIZE];
    const rw_config *node = key ? rw_node_find(config, key) : config;
    append_place(where, node ? node : config);
    append_path(where, config);
    if (key) append(where, "%s%.60s", config->parent ? "." : "", key);
    if (node && node->origin == RW_FROM_PROGRAM && node->text)
        append(where, " (default %.40s)", node->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return rw_fail(RW_USAGE, "%s%s%s", where, config->parent || key ? ": " : "", what);
}

static const rw_key *find_key(const rw_key *const *tables, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i]; key->name; key++)
            if (strcmp(key->name, name) == 0) return key;
    return NULL;
}

static rw_status refuse_unknown(const rw_config *node, const rw_key *const *tables, int count)
{
    const char *known[128];
    int known_count = 0;
    char list[TEXT_SIZE] = "", where[TEXT_SIZE] = "";
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i]; key->name && known_count < 128; key++) {
            append(list, "%s%s", known_count ? ", " : "", key->name);
            known[known_count++] = key->name;
        }
    const char *nearest = rw_nearest(node->key, known, known_count);
    append_place(where, node);
    append(where, "unknown key ");
    append_path(where, node);
    return rw_fail(RW_USAGE, "%s;%s%s%s (known: %s)", where, nearest ? " did you mean " : "",
                   nearest ? nearest : " remove it", nearest ? "?" : "", list);
}

static rw_status check_range(const rw_config *config, const rw_key *key, double value)
{
    if (key->min == 0 && key->max == 0) return RW_OK;
    bool bounded = key->max >= key->min;
    if (value >= key->min && (!bounded || value <= key->max)) return RW_OK;
    const char *text = rw_config_raw(config, key->name);
    if (!bounded || key->max > 1e15)
        return rw_config_fail(config, key->name, "must be at least %.10g, not %.40s", key->min,
                              text);
    if (key->min < -1e15)
        return rw_config_fail(config, key->name, "must be at most %.10g, not %.40s", key->max,
                              text);
    return rw_config_fail(config, key->name, "must be between %.10g and %.10g, not %.40s", key->min,
                          key->max, text);
}

static rw_status check_choice(const rw_config *config, const rw_key *key)
{
    enum { MOST = 64, LENGTH = 512 };
    const char *text = rw_config_raw(config, key->name), *choices[MOST];
    char list[LENGTH], words[LENGTH];
    int count = 0;
    size_t used = 0;
    snprintf(words, sizeof words, "%s", key->choices);
    list[0] = '\0';
    for (char *rest, *word = strtok_r(words, "|", &rest); word && count < MOST;
         word = strtok_r(NULL, "|", &rest)) {
        if (strcmp(word, text) == 0) return RW_OK;
        choices[count++] = word;
        int wrote = snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", word);
        used += (size_t)wrote < sizeof list - used ? (size_t)wrote : 0;
    }
    const char *nearest = rw_nearest(text, choices, count);
    return rw_config_fail(config, key->name, "must be one of %s, not %.40s%s%s%s", list, text,
                          nearest ? "; did you mean " : "", nearest ? nearest : "",
                          nearest ? "?" : "");
}

static rw_status check_scalar(const rw_config *config, const rw_key *key, const rw_config *node)
{
    int64_t whole;
    double real;
    bool truth;
    const char *quotes = node->plain ? "" : " in quotes";
    switch (key->type) {
    case RW_KEY_INT:
        if (!node->plain || !rw_scalar_int(node->text, &whole))
            return rw_config_fail(config, key->name,
                                  "must be a whole number such as 256, 1_000 or 4k, not %.40s%s",
                                  node->text, quotes);
        return check_range(config, key, (double)whole);
    case RW_KEY_REAL:
        if (!node->plain || !rw_scalar_real(node->text, &real))
            return rw_config_fail(config, key->name,
                                  "must be a number such as 0.1 or 3.0e-3, not %.40s%s", node->text,
                                  quotes);
        return check_range(config, key, real);
    case RW_KEY_BOOL:
        if (!node->plain || !rw_scalar_bool(node->text, &truth))
            return rw_config_fail(config, key->name, "must be true or false, not %.40s%s",
                                  node->text, quotes);
        return RW_OK;
    default:
        return key->choices ? check_choice(config, key) : RW_OK;
    }
}

static rw_status check_value(const rw_config *config, const rw_key *key, rw_config *node)
{
    static const char *const should[] = {[RW_KEY_INT] = "a whole number",
                                         [RW_KEY_REAL] = "a number",
                                         [RW_KEY_BOOL] = "true or false",
                                         [RW_KEY_STRING] = "a single value",
                                         [RW_KEY_MAP] = "a mapping such as {name: value}",
                                         [RW_KEY_LIST] = "a list such as [a, b]"};
    static const char *const is[] = {[RW_NODE_SCALAR] = "a single value",
                                     [RW_NODE_MAP] = "a mapping",
                                     [RW_NODE_LIST] = "a list"};
    rw_node_kind kind = key->type == RW_KEY_MAP    ? RW_NODE_MAP
                        : key->type == RW_KEY_LIST ? RW_NODE_LIST
                                                   : RW_NODE_SCALAR;
    if (rw_node_is_null(node)) {
        if (key->type != RW_KEY_MAP)
            return rw_config_fail(config, key->name, "has no value; give %s, or remove the key",
                                  should[key->type]);
        node->kind = RW_NODE_MAP; /* "eval:" with all its keys left out */
        rw_free(&node->text);
    }
    if (node->kind != kind)
        return rw_config_fail(config, key->name, "must be %s, not %s", should[key->type],
                              is[node->kind]);
    return kind == RW_NODE_SCALAR ? check_scalar(config, key, node) : RW_OK;
}

/* Gives an absent key its default; *filled is false without a default. */
static rw_status fill_in(rw_config *config, const rw_key *key)
{
    if (key->fallback) return rw_config_set(config, key->name, key->fallback);
    if (key->required)
        return rw_config_fail(config, key->name, "missing%s%s", key->doc ? ": " : "",
                              key->doc ? key->doc : "");
    if (key->type != RW_KEY_MAP) return RW_OK;
    rw_config *map = NULL;
    RW_TRY(rw_node_new(RW_NODE_MAP, RW_FROM_PROGRAM, &map));
    map->implied = true;
    rw_status status = rw_node_add(config, key->name, &map);
    rw_node_free(&map);
    return status;
}

rw_status rw_config_check(rw_config *config, const rw_key *const *tables, int count)
{
    if (config->kind != RW_NODE_MAP)
        return rw_config_fail(config, NULL, "must be a mapping such as {name: value}");
    for (size_t i = 0; i < config->count; i++) {
        rw_config *node = config->children[i];
        const rw_key *key = find_key(tables, count, node->key);
        if (!key) return refuse_unknown(node, tables, count);
        RW_TRY(check_value(config, key, node));
    }
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i]; key->name; key++) {
            if (rw_node_find(config, key->name)) continue;
            RW_TRY(fill_in(config, key));
            rw_config *node = rw_node_find(config, key->name);
            if (node) RW_TRY(check_value(config, key, node));
        }
    return RW_OK;
}
