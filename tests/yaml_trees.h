/* What the tests of configurations and of YAML share: trees that are compared. */
#ifndef RW_YAML_TREES_H
#define RW_YAML_TREES_H

#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/yaml_tree.h"

static bool same_tree(const rw_config *a, const rw_config *b)
{
    if (a->kind != b->kind || a->count != b->count) return false;
    if (a->kind == RW_NODE_SCALAR)
        return rw_node_is_null(a) == rw_node_is_null(b) &&
               (rw_node_is_null(a) || strcmp(a->text, b->text) == 0);
    for (size_t i = 0; i < a->count; i++) {
        const rw_config *x = a->children[i], *y = b->children[i];
        if (a->kind == RW_NODE_MAP && strcmp(x->key, y->key) != 0) return false;
        if (!same_tree(x, y)) return false;
    }
    return true;
}

static void expect_round_trip(const rw_config *config)
{
    char *text = NULL;
    rw_config *again = NULL;
    rw_clear_message();
    assert_int_equal(rw_config_write(config, &text), RW_OK);
    if (rw_config_parse(text, "again.yaml", NULL, 0, &again) != RW_OK)
        fail_msg("%s\nin\n%s", rw_message(), text);
    if (!same_tree(config, again)) fail_msg("reads back as another tree:\n%s", text);
    rw_config_destroy(&again);
    rw_free(&text);
}

#endif
