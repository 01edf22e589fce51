/* The configuration: YAML in, checked values and messages out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/yaml_tree.h"

static const rw_key root_keys[] = {
    {.name = "model", .type = RW_KEY_MAP},
    {.name = "data", .type = RW_KEY_MAP},
    {.name = "eval", .type = RW_KEY_MAP},
    RW_KEYS_END,
};
static const rw_key model_keys[] = {
    {.name = "width", .type = RW_KEY_INT, .fallback = "256", .min = 1, .max = 65536},
    {.name = "chunk", .type = RW_KEY_INT, .fallback = "1k", .min = 1},
    {.name = "rate", .type = RW_KEY_REAL, .fallback = "3.0e-3", .min = 0, .max = 1},
    {.name = "tie", .type = RW_KEY_BOOL, .fallback = "true"},
    {.name = "recompute", .type = RW_KEY_STRING, .fallback = "none", .choices = "none|blocks|all"},
    {.name = "title", .type = RW_KEY_STRING},
    {.name = "blocks", .type = RW_KEY_LIST},
    RW_KEYS_END,
};
static const rw_key data_keys[] = {
    {.name = "length", .type = RW_KEY_INT, .required = true, .doc = "tokens of one sequence"},
    {.name = "task", .type = RW_KEY_MAP},
    RW_KEYS_END,
};
static const rw_key eval_keys[] = {
    {.name = "every", .type = RW_KEY_INT, .fallback = "100"},
    RW_KEYS_END,
};

static rw_status check(rw_config *config, const rw_key *table)
{
    const rw_key *tables[] = {table};
    return rw_config_check(config, tables, 1);
}

static rw_status check_all(rw_config *root)
{
    RW_TRY(check(root, root_keys));
    RW_TRY(check(rw_config_map(root, "model"), model_keys));
    RW_TRY(check(rw_config_map(root, "data"), data_keys));
    return check(rw_config_map(root, "eval"), eval_keys);
}

/* Parses and checks a document with up to one override. */
static rw_status read_all(const char *text, const char *override, rw_config **out)
{
    rw_clear_message();
    RW_TRY(rw_config_parse(text, "train.yaml", &override, override != NULL, out));
    rw_status status = check_all(*out);
    if (status != RW_OK) rw_config_destroy(out);
    return status;
}

static void expect_refusal(const char *text, const char *override, const char *message)
{
    rw_config *config = NULL;
    size_t before = rw_memory_in_use();
    assert_int_equal(read_all(text, override, &config), RW_USAGE);
    assert_string_equal(rw_message(), message);
    assert_null(config);
    assert_int_equal(rw_memory_in_use(), before);
}

static rw_config *expect_accepted(const char *text, const char *override)
{
    rw_config *config = NULL;
    rw_status status = read_all(text, override, &config);
    assert_string_equal(rw_message(), "");
    assert_int_equal(status, RW_OK);
    return config;
}

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

/* ---- properties ---- */

/* A random document of at most `depth` levels, flow style, into text. */
static size_t random_value(rw_random stream, uint64_t *index, int depth, char *text, size_t size)
{
    static const char *const scalars[] = {
        "1",         "-3.0e-3", "true",     "~",        "\"\"",        "'it''s'",
        "two words", "1_000",   "\"\\n\"",  "' lead'",  "\"\\u00e9\"", "'# no'",
        "null",      "'- x'",   "'12'",     "\"a: b\"", "'~'",         "\"\\t\"",
        "'trail '",  "''",      "'{a: b}'", "'! x'",    "'&x'"};
    uint64_t pick = rw_random_below(stream, (*index)++, depth > 0 ? 4 : 2);
    if (size < 64) pick = 0;
    if (pick < 2) {
        uint64_t which = rw_random_below(stream, (*index)++, sizeof scalars / sizeof *scalars);
        return (size_t)snprintf(text, size, "%s", scalars[which]);
    }
    size_t used = (size_t)snprintf(text, size, pick == 2 ? "[" : "{");
    uint64_t count = rw_random_below(stream, (*index)++, 4);
    for (uint64_t i = 0; i < count && used + 64 < size; i++) {
        if (i) text[used++] = ',';
        if (pick == 3)
            used += (size_t)snprintf(text + used, size - used, " \"k%d%s\": ", (int)i,
                                     i == 1 ? " \\n:" : "");
        used += random_value(stream, index, depth - 1, text + used, size - used - 32);
    }
    used += (size_t)snprintf(text + used, size - used, pick == 2 ? "]" : "}");
    return used;
}

static void written_text_reads_back(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 500; trial++) {
        rw_random stream = rw_random_stream(1, RW_RANDOM_TEST, trial);
        char text[1024] = "root: ";
        uint64_t index = 0;
        random_value(stream, &index, 4, text + 6, sizeof text - 8);
        rw_config *config = NULL;
        rw_clear_message();
        if (rw_config_parse(text, "random.yaml", NULL, 0, &config) != RW_OK)
            fail_msg("%s\nin\n%s", rw_message(), text);
        expect_round_trip(config);
        rw_config_destroy(&config);
    }
}

/* Random bytes in place of some of a good document: no crash, no leak, a
 * message or a tree that survives being written. */
static void damaged_text_is_refused_or_read(void **state)
{
    (void)state;
    static const char good[] = "model:\n  width: 256\n  blocks:\n    - {mixer: ssd, state: 64}\n"
                               "    - mlp: 'swiglu'\n      expand: 2.5\ndata: {length: 4k}\n"
                               "notes: |\n  two\n  lines\nlist: [1, \"a\\tb\", ~]\n";
    static const char likely[] = "{}[]:,-\n \t'\"|>#&*!%@`?~\\\xff\x80\xc3\x01";
    for (uint64_t trial = 0; trial < 3000; trial++) {
        rw_random stream = rw_random_stream(2, RW_RANDOM_TEST, trial);
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        uint64_t changes = 1 + rw_random_below(stream, 0, 6);
        for (uint64_t i = 0; i < changes; i++) {
            uint64_t at = rw_random_below(stream, 3 * i + 1, sizeof good - 1);
            uint64_t byte = rw_random_below(stream, 3 * i + 2, 256);
            text[at] = byte < 192 ? likely[byte % (sizeof likely - 1)] : (char)byte;
        }
        size_t before = rw_memory_in_use();
        rw_config *config = NULL;
        rw_clear_message();
        rw_status status = rw_config_parse(text, "damaged.yaml", NULL, 0, &config);
        if (status == RW_OK)
            expect_round_trip(config);
        else
            assert_true(status == RW_USAGE && strncmp(rw_message(), "damaged.yaml:", 13) == 0);
        rw_config_destroy(&config);
        assert_int_equal(rw_memory_in_use(), before);
    }
}

static void every_integer_reads_back(void **state)
{
    (void)state;
    rw_random stream = rw_random_stream(3, RW_RANDOM_TEST, 0);
    const rw_key table[] = {{.name = "n", .type = RW_KEY_INT}, RW_KEYS_END};
    for (uint64_t i = 0; i < 200; i++) {
        int64_t value = (int64_t)(rw_random_bits(stream, i) >> (i % 64));
        if (i == 0) value = INT64_MIN;
        if (i == 1) value = INT64_MAX;
        if (i == 2) value = 0;
        char text[64];
        snprintf(text, sizeof text, "n: %" PRId64, value);
        rw_config *config = NULL;
        assert_int_equal(rw_config_parse(text, "n", NULL, 0, &config), RW_OK);
        assert_int_equal(check(config, table), RW_OK);
        assert_true(rw_config_int(config, "n") == value);
        rw_config_destroy(&config);
    }
}

static void every_failing_allocation_is_an_error(void **state)
{
    (void)state;
    const char *overrides[] = {"model.title=x", "model.blocks.1={a: b}", "eval.every=3"};
    size_t before = rw_memory_in_use();
    long n = 0;
    rw_status status = RW_ERROR;
    while (status != RW_OK) {
        rw_config *config = NULL;
        char *text = NULL;
        rw_clear_message();
        rw_memory_fail_after(++n);
        status = rw_config_parse("model: {blocks: [{mixer: ssd}]}\ndata: {length: 4}\n",
                                 "train.yaml", overrides, 3, &config);
        if (status == RW_OK) status = check_all(config);
        if (status == RW_OK) status = rw_config_write(config, &text);
        rw_memory_fail_after(0);
        assert_true(status == RW_OK || (status == RW_ERROR && rw_message()[0] != '\0'));
        rw_config_destroy(&config);
        rw_free(&text);
        assert_int_equal(rw_memory_in_use(), before);
    }
    assert_true(n > 20);
}

/* ---- values ---- */

static void values_defaults_and_lists_are_read(void **state)
{
    (void)state;
    rw_config *root = expect_accepted("model:\n"
                                      "  width: 1_00\n"
                                      "  rate: 2.5e-1\n"
                                      "  blocks:\n"
                                      "    - {mixer: ssd, state: 64}\n"
                                      "    - plain\n"
                                      "data: {length: 16k}\n",
                                      NULL);
    rw_config *model = rw_config_map(root, "model");
    assert_int_equal(rw_config_int(model, "width"), 100);
    assert_int_equal(rw_config_int(model, "chunk"), 1024);
    assert_int_equal(rw_config_int(rw_config_map(root, "data"), "length"), 16384);
    assert_true(rw_config_real(model, "rate") == 0.25);
    assert_true(rw_config_bool(model, "tie"));
    assert_string_equal(rw_config_string(model, "recompute"), "none");
    assert_false(rw_config_has(model, "title"));
    assert_int_equal(rw_config_count(model, "blocks"), 2);
    rw_config *block = rw_config_at(model, "blocks", 0);
    assert_string_equal(rw_config_first_key(block), "mixer");
    assert_string_equal(rw_config_raw(block, "mixer"), "ssd");
    assert_null(rw_config_raw(block, "heads"));
    assert_null(rw_config_item(model, "blocks", 0));
    assert_string_equal(rw_config_item(model, "blocks", 1), "plain");
    rw_config *scalar = rw_config_at(model, "blocks", 1);
    assert_null(rw_config_first_key(scalar));
    assert_int_equal(check(scalar, eval_keys), RW_USAGE);
    assert_string_equal(rw_message(),
                        "train.yaml:6: model.blocks.1: must be a mapping such as {name: value}");
    rw_config_destroy(&root);
}

static void mappings_nobody_wrote_take_defaults(void **state)
{
    (void)state;
    rw_config *root = expect_accepted("eval:   # every key left out\ndata: {length: 1}", NULL);
    assert_true(rw_config_has(root, "eval"));
    assert_int_equal(rw_config_int(rw_config_map(root, "eval"), "every"), 100);
    assert_false(rw_config_has(root, "model"));
    assert_int_equal(rw_config_int(rw_config_map(root, "model"), "width"), 256);
    assert_false(rw_config_has(rw_config_map(root, "data"), "task"));
    char *text = NULL;
    assert_int_equal(rw_config_write(root, &text), RW_OK);
    assert_null(strstr(text, "task"));
    assert_non_null(strstr(text, "width: 256"));
    rw_config *again = expect_accepted(text, NULL);
    assert_false(rw_config_has(rw_config_map(again, "data"), "task"));
    rw_config_destroy(&again);
    rw_free(&text);
    rw_config_destroy(&root);
}

static void overrides_replace_and_create(void **state)
{
    (void)state;
    const char *overrides[] = {
        "model.width=64", "model.blocks.0.state=32", "model.blocks.1={mixer: s4d}",
        "data.length=2k", "data.task.name=copy",     "model.title='a=b'",
        "eval={every: 7}"};
    rw_config *root = NULL;
    rw_clear_message();
    assert_int_equal(
        rw_config_parse("model: {width: 1, blocks: [{mixer: ssd}]}", "t.yaml", overrides, 7, &root),
        RW_OK);
    assert_int_equal(check_all(root), RW_OK);
    rw_config *model = rw_config_map(root, "model"), *data = rw_config_map(root, "data");
    assert_int_equal(rw_config_int(model, "width"), 64);
    assert_string_equal(rw_config_raw(rw_config_at(model, "blocks", 0), "state"), "32");
    assert_string_equal(rw_config_raw(rw_config_at(model, "blocks", 1), "mixer"), "s4d");
    assert_string_equal(rw_config_first_key(model), "width");
    assert_int_equal(rw_config_int(data, "length"), 2048);
    assert_true(rw_config_has(data, "task"));
    assert_string_equal(rw_config_raw(rw_config_map(data, "task"), "name"), "copy");
    assert_string_equal(rw_config_string(model, "title"), "a=b");
    assert_int_equal(rw_config_int(rw_config_map(root, "eval"), "every"), 7);
    expect_round_trip(root);
    rw_config_destroy(&root);
}

static void set_replaces_a_value(void **state)
{
    (void)state;
    rw_config *root = expect_accepted("data: {length: 1}", NULL);
    rw_config *model = rw_config_map(root, "model");
    assert_int_equal(rw_config_set(model, "width", "4k"), RW_OK);
    assert_int_equal(rw_config_int(model, "width"), 4096);
    assert_int_equal(rw_config_fail(model, "width", "%d is too wide", 4096), RW_USAGE);
    assert_string_equal(rw_message(), "train.yaml: model.width (default 4k): 4096 is too wide");
    rw_clear_message();
    assert_int_equal(rw_config_set(model, "width", "[1"), RW_USAGE);
    assert_int_equal(rw_config_int(model, "width"), 4096);
    rw_config_destroy(&root);
}

/* ---- refusals ---- */

static void keys_and_values_are_checked(void **state)
{
    (void)state;
    expect_refusal("data: {length: 1}\nmodel:\n  chunk: 2\n  widht: 3\n", NULL,
                   "train.yaml:4: unknown key model.widht; did you mean width? "
                   "(known: width, chunk, rate, tie, recompute, title, blocks)");
    expect_refusal("xyzzy: 1", NULL,
                   "train.yaml:1: unknown key xyzzy; remove it (known: model, data, eval)");
    expect_refusal("model: {}\ndata: {}\n", NULL,
                   "train.yaml:2: data.length: missing: tokens of one sequence");
    expect_refusal("", NULL, "train.yaml: data.length: missing: tokens of one sequence");
    expect_refusal("model:\n\n  width: auto", NULL,
                   "train.yaml:3: model.width: must be a whole number such as 256, 1_000 or 4k, "
                   "not auto");
    expect_refusal("model: {width: '4'}", NULL,
                   "train.yaml:1: model.width: must be a whole number such as 256, 1_000 or 4k, "
                   "not 4 in quotes");
    expect_refusal("model: {width: 0}", NULL,
                   "train.yaml:1: model.width: must be between 1 and 65536, not 0");
    expect_refusal("model: {chunk: -1k}", NULL,
                   "train.yaml:1: model.chunk: must be at least 1, not -1k");
    expect_refusal("model: {rate: inf}", NULL,
                   "train.yaml:1: model.rate: must be a number such as 0.1 or 3.0e-3, not inf");
    expect_refusal("model: {tie: yes}", NULL,
                   "train.yaml:1: model.tie: must be true or false, not yes");
    expect_refusal("model: {recompute: block}", NULL,
                   "train.yaml:1: model.recompute: must be one of none, blocks, all, not block; "
                   "did you mean blocks?");
    expect_refusal("model: {recompute: }", NULL,
                   "train.yaml:1: model.recompute: has no value; give a single value, or remove "
                   "the key");
    expect_refusal("model: 3", NULL,
                   "train.yaml:1: model: must be a mapping such as {name: value}, not a single "
                   "value");
    expect_refusal("model: {blocks: {}}", NULL,
                   "train.yaml:1: model.blocks: must be a list such as [a, b], not a mapping");
}

static void numbers_are_strict(void **state)
{
    (void)state;
    const char *bad_ints[] = {"1.5",
                              "1e3",
                              "0x10",
                              "1__0",
                              "_1",
                              "1_",
                              "k",
                              "1kk",
                              "--1",
                              "+",
                              "9223372036854775808",
                              "9 G",
                              "9007199254740992G"};
    const char *bad_reals[] = {"nan", "1e", "e5", ".", "1.2.3", "1e5.0", "1e999", "0x1p3", "1-2"};
    const rw_key table[] = {
        {.name = "i", .type = RW_KEY_INT}, {.name = "r", .type = RW_KEY_REAL}, RW_KEYS_END};
    rw_config *config = NULL;
    assert_int_equal(rw_config_parse("{}", "n", NULL, 0, &config), RW_OK);
    for (size_t i = 0; i < sizeof bad_ints / sizeof *bad_ints; i++) {
        assert_int_equal(rw_config_set(config, "i", bad_ints[i]), RW_OK);
        if (check(config, table) != RW_USAGE) fail_msg("%s passed", bad_ints[i]);
    }
    assert_int_equal(rw_config_set(config, "i", "+2M"), RW_OK);
    for (size_t i = 0; i < sizeof bad_reals / sizeof *bad_reals; i++) {
        assert_int_equal(rw_config_set(config, "r", bad_reals[i]), RW_OK);
        if (check(config, table) != RW_USAGE) fail_msg("%s passed", bad_reals[i]);
    }
    assert_int_equal(rw_config_set(config, "r", "-1_0.5E+1"), RW_OK);
    assert_int_equal(check(config, table), RW_OK);
    assert_int_equal(rw_config_int(config, "i"), 2 << 20);
    assert_true(rw_config_real(config, "r") == -105.0);
    rw_config_destroy(&config);
}

static void syntax_is_refused_by_line(void **state)
{
    (void)state;
    expect_refusal("model:\n  width: 1\n  chunk: 2\n  width: 3\n", NULL,
                   "train.yaml:4:3: key width is here a second time (first in line 2); keep one");
    expect_refusal("model:\n\twidth: 1\n", NULL,
                   "train.yaml:2:1: indented with a tab; YAML wants spaces");
    expect_refusal("a: &x 1\nb: *x\n", NULL,
                   "train.yaml:1:4: anchors and aliases (&name, *name) are not understood; write "
                   "the value out, or quote it");
    expect_refusal("a: !!int 1\n", NULL,
                   "train.yaml:1:4: tags (!name) are not understood; leave it out, or quote the "
                   "value");
    expect_refusal("a: 1\n---\nb: 2\n", NULL,
                   "train.yaml:2:1: a second document (---); keep one in a file");
    expect_refusal("a: 1\n? [b]\n: 2\n", NULL,
                   "train.yaml:2:3: a list or mapping as a key; keys are plain names");
    expect_refusal("a: \"\\0\"\n", NULL, "train.yaml:1:4: a NUL byte in a value; remove it");
    expect_refusal("ok: 1\nbad: \x01\n", NULL,
                   "train.yaml:2:1: not plain UTF-8 text; save the file as UTF-8 without control "
                   "characters");
    expect_refusal("- 1\n", NULL,
                   "train.yaml:1: not a mapping; a configuration is lines of 'key: value'");
    expect_refusal("a: [1, 2\n", NULL,
                   "train.yaml:2:1: not valid YAML: while parsing a flow sequence, did not find "
                   "expected ',' or ']'");
}

static void overrides_are_refused_by_name(void **state)
{
    (void)state;
    const char *text = "model: {width: 1, blocks: [a]}\ndata: {length: 1}\n";
    expect_refusal(text, "model.width", "--set model.width: no value; write --set model.width=128");
    expect_refusal(text, "model..width=1",
                   "--set model..width=1: a name is missing beside a dot; write --set "
                   "model.width=128");
    expect_refusal(text, "model.width.x=1",
                   "--set model.width.x=1: width is the value '1', not a mapping with keys of its "
                   "own");
    expect_refusal(text, "model.blocks.7=1",
                   "--set model.blocks.7=1: 7 is no index of the list; give 0 to 1");
    expect_refusal(text, "model.width=[1",
                   "--set model.width=[1: not valid YAML: while parsing a flow sequence, did not "
                   "find expected ',' or ']'");
    expect_refusal(text, "model.widht=1",
                   "--set: unknown key model.widht; did you mean width? "
                   "(known: width, chunk, rate, tie, recompute, title, blocks)");
    expect_refusal(text, "model.width=wide",
                   "--set: model.width: must be a whole number such as 256, 1_000 or 4k, not wide");
}

static void size_and_depth_are_bounded(void **state)
{
    (void)state;
    size_t size = RW_YAML_MAX_BYTES + 2;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '#', size - 1);
    text[size - 1] = '\0';
    expect_refusal(text, NULL, "train.yaml: larger than 1 MiB; is it a configuration?");
    memset(text, '[', 5000);
    text[5000] = '\0';
    expect_refusal(text, NULL, "train.yaml:1:33: nested too deeply (more than 32 levels)");
    size_t used = 0;
    for (int i = 0; i < 20000; i++) used += (size_t)sprintf(text + used, "k%d: 1\n", i);
    expect_refusal(text, NULL, "train.yaml:10000:8: too large: more than 10000 values");
    used = (size_t)sprintf(text, "a");
    for (int i = 0; i < 40; i++) used += (size_t)sprintf(text + used, ".a");
    sprintf(text + used, "=1");
    rw_config *config = NULL;
    assert_int_equal(read_all("data: {length: 1}", text, &config), RW_USAGE);
    assert_non_null(strstr(rw_message(), "nested too deeply"));
    free(text);
}

static void files_are_loaded_or_refused(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    char folder[256], path[300];
    snprintf(folder, sizeof folder, "%s/ropewalk-config-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.yaml", folder);
    rw_config *config = NULL;
    rw_clear_message();
    assert_int_equal(rw_config_load(path, NULL, 0, &config), RW_USAGE);
    assert_non_null(strstr(rw_message(), "No such file"));
    rw_clear_message();
    assert_int_equal(rw_config_load(folder, NULL, 0, &config), RW_USAGE);
    assert_non_null(strstr(rw_message(), "must be a file"));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("data: {length: 3}\n", file);
    fclose(file);
    assert_int_equal(rw_config_load(path, NULL, 0, &config), RW_OK);
    assert_string_equal(rw_config_raw(rw_config_map(config, "data"), "length"), "3");
    rw_config_destroy(&config);
    unlink(path);
    rmdir(folder);
}

static void nearest_name_is_near(void **state)
{
    (void)state;
    const char *known[] = {"width", "chunk", "weight_decay", "lr"};
    assert_string_equal(rw_nearest("widht", known, 4), "width");
    assert_string_equal(rw_nearest("chnk", known, 4), "chunk");
    assert_string_equal(rw_nearest("wieght_dekay", known, 4), "weight_decay");
    assert_string_equal(rw_nearest("lr", known, 4), "lr");
    assert_null(rw_nearest("batch", known, 4));
    assert_null(rw_nearest("width", NULL, 0));
    char long_name[200];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_null(rw_nearest(long_name, known, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_text_reads_back),
        cmocka_unit_test(damaged_text_is_refused_or_read),
        cmocka_unit_test(every_integer_reads_back),
        cmocka_unit_test(every_failing_allocation_is_an_error),
        cmocka_unit_test(values_defaults_and_lists_are_read),
        cmocka_unit_test(mappings_nobody_wrote_take_defaults),
        cmocka_unit_test(overrides_replace_and_create),
        cmocka_unit_test(set_replaces_a_value),
        cmocka_unit_test(keys_and_values_are_checked),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(syntax_is_refused_by_line),
        cmocka_unit_test(overrides_are_refused_by_name),
        cmocka_unit_test(size_and_depth_are_bounded),
        cmocka_unit_test(files_are_loaded_or_refused),
        cmocka_unit_test(nearest_name_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
