#include "base/config_compare.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/scalar.h"
#include "base/yaml_tree.h"

#define PATH_SIZE 512

/* A message is one line, whatever control characters a value holds. */
static void make_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127) *text = ' ';
}

rw_status rw_changes_add(rw_changes *changes, const char *key, const char *old, const char *now,
                         bool neutral)
{
    RW_TRY(
        rw_grow(&changes->items, &changes->capacity, changes->count + 1, sizeof *changes->items));
    rw_change *change = &changes->items[changes->count++];
    *change = (rw_change){.neutral = neutral};
    RW_TRY(rw_strdup(key, &change->key));
    RW_TRY(rw_strdup(old, &change->old));
    RW_TRY(rw_strdup(now, &change->now));
    make_one_line(change->key);
    make_one_line(change->old);
    make_one_line(change->now);
    return RW_OK;
}

void rw_changes_free(rw_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        rw_free(&changes->items[i].key);
        rw_free(&changes->items[i].old);
        rw_free(&changes->items[i].now);
    }
    rw_free(&changes->items);
    changes->count = changes->capacity = 0;
}

const char *rw_changes_text(const rw_changes *changes, bool neutral, char text[RW_CHANGES_TEXT])
{
    enum { ROOM_FOR_COUNT = 24 };
    size_t used = 0, left = 0;
    text[0] = '\0';
    for (size_t i = 0; i < changes->count; i++) {
        const rw_change *c = &changes->items[i];
        char one[256];
        if (c->neutral != neutral) continue;
        snprintf(one, sizeof one, "%s%.100s: %.60s -> %.60s", used ? ", " : "", c->key, c->old,
                 c->now);
        if (left || used + strlen(one) + ROOM_FOR_COUNT > RW_CHANGES_TEXT) {
            left++;
            continue;
        }
        strcpy(text + used, one);
        used += strlen(one);
    }
    if (left) snprintf(text + used, RW_CHANGES_TEXT - used, ", and %zu more", left);
    return text;
}

/* ---- Comparing ---------------------------------------------------------------- */

static bool same_scalar(const rw_config *old, const rw_config *now)
{
    double one, other;
    if (strcmp(old->text, now->text) == 0) return true;
    return old->plain && now->plain && rw_scalar_real(old->text, &one) &&
           rw_scalar_real(now->text, &other) && one == other;
}

static rw_status compare_nodes(const rw_config *old, const rw_config *now, const char *path,
                               bool neutral, rw_changes *out);

/* All values below two nodes; one of the nodes may be NULL. */
static rw_status compare_below(const rw_config *old, const rw_config *now, const char *path,
                               bool neutral, rw_changes *out)
{
    size_t count = now ? now->count : 0, had = old ? old->count : 0;
    char inner[PATH_SIZE];
    for (size_t i = 0; i < count || i < had; i++) {
        const rw_config *one = i < had ? old->children[i] : NULL;
        const rw_config *other = i < count ? now->children[i] : NULL;
        if ((now ? now : old)->kind == RW_NODE_LIST) {
            snprintf(inner, sizeof inner, "%s.%zu", path, i);
            RW_TRY(compare_nodes(one, other, inner, neutral, out));
            continue;
        }
        if (other) {
            snprintf(inner, sizeof inner, "%s.%s", path, other->key);
            RW_TRY(compare_nodes(old ? rw_node_find(old, other->key) : NULL, other, inner, neutral,
                                 out));
        }
        if (one && !(now && rw_node_find(now, one->key))) {
            snprintf(inner, sizeof inner, "%s.%s", path, one->key);
            RW_TRY(compare_nodes(one, NULL, inner, neutral, out));
        }
    }
    return RW_OK;
}

/* One of the two may be NULL. */
static rw_status compare_nodes(const rw_config *old, const rw_config *now, const char *path,
                               bool neutral, rw_changes *out)
{
    bool scalar = (!old || old->kind == RW_NODE_SCALAR) && (!now || now->kind == RW_NODE_SCALAR);
    if (scalar) {
        if (old && now && same_scalar(old, now)) return RW_OK;
        return rw_changes_add(out, path, old ? old->text : "none", now ? now->text : "none",
                              neutral);
    }
    if (old && now && old->kind != now->kind) {
        RW_TRY(compare_nodes(old, NULL, path, neutral, out));
        return compare_nodes(NULL, now, path, neutral, out);
    }
    return compare_below(old, now, path, neutral, out);
}

static const rw_key *find_key(const rw_key *const *tables, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i]; key->name; key++)
            if (strcmp(key->name, name) == 0) return key;
    return NULL;
}

static rw_status compare_key(const rw_config *old, const rw_config *now, const char *name,
                             const char *path, const rw_key *const *tables, int count,
                             rw_changes *out)
{
    char inner[PATH_SIZE];
    const rw_key *key = find_key(tables, count, name);
    if (key && (key->type == RW_KEY_MAP || key->type == RW_KEY_LIST)) return RW_OK;
    snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", name);
    return compare_nodes(rw_node_find(old, name), rw_node_find(now, name), inner,
                         key && key->neutral, out);
}

rw_status rw_config_compare(const rw_config *old, const rw_config *now, const char *path,
                            const rw_key *const *tables, int count, rw_changes *out)
{
    for (size_t i = 0; i < now->count; i++)
        RW_TRY(compare_key(old, now, now->children[i]->key, path, tables, count, out));
    for (size_t i = 0; i < old->count; i++)
        if (!rw_node_find(now, old->children[i]->key))
            RW_TRY(compare_key(old, now, old->children[i]->key, path, tables, count, out));
    return RW_OK;
}
