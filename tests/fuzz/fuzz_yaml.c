/* A configuration file: read, written, read again as the same tree. After a NUL byte, an
 * override as of --set. */
#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/yaml_tree.h"
#include "tests/fuzz/target.h"

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

static void expect_round_trip(const rw_config *tree)
{
    char *text = NULL;
    rw_config *again = NULL;
    FUZZ_EXPECT(rw_node_write(tree, &text) == RW_OK);
    rw_status status = rw_node_parse(text, strlen(text), "again", RW_FROM_DOCUMENT, &again);
    if (status != RW_OK) fprintf(stderr, "%s in\n%s\n", rw_message(), text);
    FUZZ_EXPECT(status == RW_OK && same_tree(tree, again));
    rw_config_destroy(&again);
    rw_free(&text);
}

/* A wrong file has a message that begins with the file's name. */
static void expect_message(rw_status status)
{
    FUZZ_EXPECT(status == RW_USAGE && strncmp(rw_message(), "fuzz.yaml:", 10) == 0);
}

static void read_file(const char *text, size_t size)
{
    rw_config *tree = NULL;
    rw_clear_message();
    rw_status status = rw_node_parse(text, size, "fuzz.yaml", RW_FROM_DOCUMENT, &tree);
    if (status == RW_OK)
        expect_round_trip(tree);
    else
        expect_message(status);
    rw_config_destroy(&tree);
}

/* `text` and the override both end in a NUL. */
static void read_with_override(const char *text, const char *override)
{
    rw_config *tree = NULL;
    rw_clear_message();
    rw_status status = rw_config_parse(text, "fuzz.yaml", &override, 1, &tree);
    if (status == RW_OK)
        expect_round_trip(tree);
    else
        FUZZ_EXPECT(status == RW_USAGE && rw_message()[0]);
    rw_config_destroy(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t before = rw_memory_in_use();
    const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
    read_file((const char *)data, size);
    if (nul) {
        char *text = malloc(size + 1);
        FUZZ_EXPECT(text);
        memcpy(text, data, size);
        text[size] = '\0';
        read_with_override(text, text + (nul - data) + 1);
        free(text);
    }
    FUZZ_EXPECT(rw_memory_in_use() == before);
    return 0;
}
