/* YAML: what is read, what is refused and where, and how text from outside is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/shown_text.h"
#include "base/yaml_tree.h"
#include "tests/yaml_trees.h"

static const rw_key root_keys[] = {
    {.name = "model", .type = RW_KEY_MAP},
    {.name = "data", .type = RW_KEY_MAP},
    {.name = "eval", .type = RW_KEY_MAP},
    RW_KEYS_END,
};
static const rw_key model_keys[] = {
    {.name = "width", .type = RW_KEY_INT},
    {.name = "recompute", .type = RW_KEY_STRING, .choices = "none|blocks|all"},
    {.name = "title", .type = RW_KEY_STRING},
    {.name = "blocks", .type = RW_KEY_LIST},
    RW_KEYS_END,
};
static const rw_key data_keys[] = {{.name = "length", .type = RW_KEY_INT}, RW_KEYS_END};

static rw_status check(rw_config *config, const rw_key *table)
{
    const rw_key *tables[] = {table};
    return rw_config_check(config, tables, 1);
}

/* Parses and checks a document with up to one override. */
static rw_status read_all(const char *text, const char *override, rw_config **out)
{
    rw_clear_message();
    RW_TRY(rw_config_parse(text, "train.yaml", &override, override != NULL, out));
    rw_status status = check(*out, root_keys);
    if (status == RW_OK) status = check(rw_config_map(*out, "model"), model_keys);
    if (status == RW_OK) status = check(rw_config_map(*out, "data"), data_keys);
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

static void syntax_is_refused_by_line(void **state)
{
    (void)state;
    expect_refusal("model:\n  width: 1\n  chunk: 2\n  width: 3\n", NULL,
                   "train.yaml:4:3: key width is here a second time (first in line 2); keep one");
    expect_refusal("model:\n\twidth: 1\n", NULL,
                   "train.yaml:2:1: indented with a tab; YAML wants spaces");
    expect_refusal("a: 1\n---\nb: 2\n", NULL,
                   "train.yaml:2:1: a second document (---); keep one in a file");
    expect_refusal("a: 1\n? [b]\n: 2\n", NULL,
                   "train.yaml:2:3: a list or mapping as a key; keys are plain names");
    expect_refusal("a: \"\\0\"\n", NULL, "train.yaml:1:4: a NUL byte in a value; remove it");
    expect_refusal("ok: 1\nbad: \x01\n", NULL,
                   "train.yaml:2:1: not plain UTF-8 text; write it in UTF-8, without control "
                   "characters");
    expect_refusal("ok: 1\r\nalso: 2\rbad: \x01\n", NULL,
                   "train.yaml:3:1: not plain UTF-8 text; write it in UTF-8, without control "
                   "characters");
    expect_refusal("model:\r\twidth: 1\r", NULL,
                   "train.yaml:2:1: indented with a tab; YAML wants spaces");
    expect_refusal("- 1\n", NULL,
                   "train.yaml:1: not a mapping; a configuration is lines of 'key: value'");
    expect_refusal("a: [1, 2\n", NULL,
                   "train.yaml:2:1: not valid YAML: while parsing a flow sequence, did not find "
                   "expected ',' or ']'");
}

/* Expects that two documents are the same tree. */
static void expect_same(const char *text, const char *plain)
{
    rw_config *read = NULL, *wanted = NULL;
    rw_clear_message();
    rw_status status = rw_config_parse(text, "dump.yaml", NULL, 0, &read);
    if (status != RW_OK) fail_msg("%s\nin\n%s", rw_message(), text);
    assert_int_equal(rw_config_parse(plain, "plain.yaml", NULL, 0, &wanted), RW_OK);
    if (!same_tree(read, wanted)) fail_msg("another tree:\n%s", text);
    expect_round_trip(read);
    rw_config_destroy(&read);
    rw_config_destroy(&wanted);
}

/* As other programs write them when a value comes twice. */
static void anchors_and_aliases_are_read(void **state)
{
    (void)state;
    expect_same("a: &x 1\nb: *x\n", "a: 1\nb: 1\n");
    expect_same("blocks:\n- &id001\n  mixer: ssd\n  state: 64\n- mlp: swiglu\n- *id001\n",
                "blocks: [{mixer: ssd, state: 64}, {mlp: swiglu}, {mixer: ssd, state: 64}]");
    expect_same("a: &x [1, &y {b: &z '2'}]\nc: [*x, *y, *z]\n",
                "a: [1, {b: '2'}]\nc: [[1, {b: '2'}], {b: '2'}, '2']\n");
    expect_same("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", "{a: 1, b: 1, c: 2, d: 2}");
    expect_same("&k key: &v value\nother: [*k, *v]\n*v : 1\n",
                "{key: value, other: [key, value], value: 1}");
    expect_same("a: '*x'\nb: '&x'\n", "{a: \"*x\", b: \"&x\"}");
    expect_same("--- # a dump\na: &x\nb: *x\n...\n", "{a: ~, b: ~}");
    rw_config *root = expect_accepted("data: {length: &n 64}\nmodel: {width: *n}\n", NULL);
    assert_int_equal(rw_config_int(rw_config_map(root, "model"), "width"), 64);
    rw_config_destroy(&root);
    root = expect_accepted("data: {length: 1}", "model.blocks=[&b {mixer: ssd}, *b]");
    assert_string_equal(
        rw_config_raw(rw_config_at(rw_config_map(root, "model"), "blocks", 1), "mixer"), "ssd");
    rw_config_destroy(&root);
}

/* What a mapping says itself goes before what it merges, whatever comes first. */
static void merge_keys_are_read(void **state)
{
    (void)state;
    const char *base = "base: &b {mixer: ssd, state: 64, heads: 8}\n";
    char text[256];
    snprintf(text, sizeof text, "%sx: {<<: *b, state: 32}\ny: {state: 16, <<: *b}\n", base);
    expect_same(text, "base: {mixer: ssd, state: 64, heads: 8}\n"
                      "x: {mixer: ssd, heads: 8, state: 32}\n"
                      "y: {mixer: ssd, heads: 8, state: 16}\n");
    expect_same("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], w: 0}\n",
                "{a: {x: 1, y: 2}, b: {y: 3, z: 4}, c: {z: 4, x: 1, y: 2, w: 0}}");
    expect_same("a: {<<: &in {x: &one 1}, y: *one}\nb: *in\n", "{a: {x: 1, y: 1}, b: {x: 1}}");
    expect_same("a: {'<<': 1}\n", "a: {\"<<\": 1}\n");
    expect_refusal(
        "a: 1\n<<: 3\n", NULL,
        "train.yaml:3:1: the merge key << takes a mapping or a list of mappings, such as "
        "*name");
    expect_refusal("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", NULL,
                   "train.yaml:2:13: key << is here a second time (first in line 2); keep one");
    expect_refusal("a: &a {x: 1}\nb:\n  <<: *a\n  y: 1\n  y: 2\n", NULL,
                   "train.yaml:5:3: key y is here a second time (first in line 4); keep one");
    expect_refusal("base: &b {widht: 3}\nmodel:\n  <<: *b\n", NULL,
                   "train.yaml:1: unknown key base; remove it (known: model, data, eval)");
}

static void wrong_aliases_are_refused(void **state)
{
    (void)state;
    expect_refusal("a: *x\n", NULL,
                   "train.yaml:1:4: there is no anchor &x above this alias; check the name, or "
                   "quote the value");
    expect_refusal("a: *x\nb: &x 1\n", NULL,
                   "train.yaml:1:4: there is no anchor &x above this alias; check the name, or "
                   "quote the value");
    expect_refusal("a: &x [1, *x]\n", NULL,
                   "train.yaml:1:11: the alias *x stands inside of what it stands for");
    expect_refusal("a: &x {<<: *x}\n", NULL,
                   "train.yaml:1:12: the alias *x stands inside of what it stands for");
    expect_refusal("a: &x [1]\n*x : 1\n", NULL,
                   "train.yaml:2:1: a list or mapping as a key; keys are plain names");
}

/* A few lines that stand for very much: nodes, bytes, levels, merged keys. */
static void what_aliases_copy_is_bounded(void **state)
{
    (void)state;
    char text[8192];
    size_t used = (size_t)sprintf(text, "a: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\nb:\n");
    for (int i = 1; i < 10; i++)
        used += (size_t)sprintf(text + used,
                                "- &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i,
                                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    expect_refusal(text, NULL,
                   "train.yaml:6:8: too large: more than 10000 values, those that aliases copy "
                   "among them");
    used = (size_t)sprintf(text, "a: &a \"");
    memset(text + used, 'x', 4000);
    used += 4000;
    used += (size_t)sprintf(text + used, "\"\nb: [");
    for (int i = 0; i < 300; i++) used += (size_t)sprintf(text + used, "*a, ");
    sprintf(text + used, "]\n");
    expect_refusal(text, NULL, "train.yaml:2:1053: too large: aliases copy more than 1 MiB");
    used = (size_t)sprintf(text, "a: &a [[[[[[[[[[1]]]]]]]]]]\nb: ");
    for (int i = 0; i < 20; i++) used += (size_t)sprintf(text + used, "[");
    used += (size_t)sprintf(text + used, "*a");
    for (int i = 0; i < 20; i++) used += (size_t)sprintf(text + used, "]");
    rw_config *root = NULL;
    assert_int_equal(rw_config_parse(text, "deep.yaml", NULL, 0, &root), RW_OK);
    rw_config_destroy(&root);
    used = (size_t)sprintf(text, "a: &a [[[[[[[[[[1]]]]]]]]]]\nb: ");
    for (int i = 0; i < 21; i++) used += (size_t)sprintf(text + used, "[");
    sprintf(text + used, "*a]\n");
    expect_refusal(text, NULL, "train.yaml:2:25: nested too deeply (more than 32 levels)");
    used = (size_t)sprintf(text, "a: &a {x: 1, y: 2}\nb: {<<: [");
    for (int i = 0; i < 2000; i++) used += (size_t)sprintf(text + used, "*a,");
    sprintf(text + used, "]}\n");
    expect_refusal(text, NULL,
                   "train.yaml:2:6011: too large: more than 10000 values, those that aliases copy "
                   "among them");
}

static void standard_tags_are_read_and_others_refused(void **state)
{
    (void)state;
    expect_same("a: !!str 12\nb: !!int \"12\"\nc: !!float 1.5\nd: !!bool true\ne: !!null ~\n"
                "f: !!map {x: 1}\ng: !!seq [1]\n! h: ! 12\n",
                "{a: '12', b: 12, c: 1.5, d: true, e: ~, f: {x: 1}, g: [1], h: '12'}");
    rw_config *root =
        expect_accepted("data: {length: !!int '64'}\nmodel: {title: !!str 1}\n", NULL);
    assert_int_equal(rw_config_int(rw_config_map(root, "data"), "length"), 64);
    rw_config_destroy(&root);
    expect_refusal("data: {length: !!str 64}\n", NULL,
                   "train.yaml:1: data.length: must be a whole number such as 256, 1_000 or 4k, "
                   "not 64 in quotes");
    expect_refusal(
        "a: !!python/tuple [1]\n", NULL,
        "train.yaml:1:4: the tag !!python/tuple is not understood here; leave it out, or "
        "quote the value");
    expect_refusal("a: !local 1\n", NULL,
                   "train.yaml:1:4: the tag !local is not understood here; leave it out, or quote "
                   "the value");
    expect_refusal("a: !!map 1\n", NULL,
                   "train.yaml:1:4: the tag !!map is not understood here; leave it out, or quote "
                   "the value");
    expect_refusal("a: !!null 1\n", NULL,
                   "train.yaml:1:4: the tag !!null is not understood here; leave it out, or quote "
                   "the value");
    expect_refusal(
        "a: !!binary aGk=\n", NULL,
        "train.yaml:1:4: the tag !!binary is not understood here; leave it out, or quote "
        "the value");
}

static void markers_and_byte_order_marks_are_read(void **state)
{
    (void)state;
    expect_same("\xef\xbb\xbfmodel: {width: 3}\n", "model: {width: 3}\n");
    expect_same("\xef\xbb\xbf%YAML 1.1\n---\nmodel: {width: 3}\n...\n", "model: {width: 3}\n");
    expect_same("model: {width: 3}\r\ndata:\r\n  length: 4\r\n",
                "model: {width: 3}\ndata: {length: 4}\n");
    expect_same("model: {width: 3}\rdata:\r  length: 4\r",
                "model: {width: 3}\ndata: {length: 4}\n");
    expect_refusal("\xff\xfem", NULL, "train.yaml: UTF-16 text; save it as UTF-8");
    static const struct {
        const char *text, *encoding;
        size_t size;
    } others[] = {{"\xff\xfem\0o\0", "UTF-16", 6},
                  {"\xfe\xff\0m\0o", "UTF-16", 6},
                  {"m\0o\0", "UTF-16", 4},
                  {"\0m\0o", "UTF-16", 4},
                  {"\xff\xfe\0\0m\0\0\0", "UTF-32", 8}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        rw_config *node = NULL;
        rw_clear_message();
        assert_int_equal(
            rw_node_parse(others[i].text, others[i].size, "x", RW_FROM_DOCUMENT, &node), RW_USAGE);
        assert_non_null(strstr(rw_message(), others[i].encoding));
    }
}

/* No control character of a file or an argument reaches a terminal. */
static void messages_show_control_characters(void **state)
{
    (void)state;
    expect_refusal("\"w\\e[2Jx\": 1\n", NULL,
                   "train.yaml:1: unknown key w\\x1b[2Jx; remove it (known: model, data, eval)");
    expect_refusal("model: {recompute: \"a\\nb\"}\n", NULL,
                   "train.yaml:1: model.recompute: must be one of none, blocks, all, not a\\x0ab; "
                   "did you mean all?");
    expect_refusal(
        "\"\\x9bm\\u202eg\": 1\n", NULL,
        "train.yaml:1: unknown key \\xc2\\x9bm\\xe2\\x80\\xaeg; remove it (known: model, "
        "data, eval)");
    expect_refusal("a: 1", "model.w\x1b=1",
                   "train.yaml:1: unknown key a; remove it (known: model, data, eval)");
    expect_refusal("{}", "model.\xff=1", "--set model.\\xff=1: not UTF-8 text; write it in UTF-8");
}

static void text_is_shown_without_commands(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain \xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80 \\x",
         "plain \xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80 \\x"},
        {"\x1b[2J\a\b\x7f", "\\x1b[2J\\x07\\x08\\x7f"},
        {"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"},
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
        {"\x9b"
         "31m",
         "\\x9b31m"},
        {"\xc3", "\\xc3"},
        {"\xc3(", "\\xc3("},
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* an overlong form */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond Unicode */
        {"\xe2\x80\xae\xe2\x81\xa6", "\\xe2\\x80\\xae\\xe2\\x81\\xa6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char shown[256];
        assert_string_equal(rw_show_text(cases[i].text, shown, sizeof shown), cases[i].shown);
        assert_int_equal(rw_is_shown(cases[i].text, strlen(cases[i].text)),
                         strcmp(cases[i].text, cases[i].shown) == 0);
    }
    char small[6];
    assert_string_equal(rw_show_text("abc\x1b", small, sizeof small), "abc");
    assert_string_equal(rw_show_text("abcd\xc3\xa9", small, sizeof small), "abcd");
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    rw_print_line(out, "name %s of %d", "\x1b]0;x\a\n", 3);
    rw_print_lines(out, "a:\n\tb\x1b");
    fclose(out);
    assert_string_equal(printed, "name \\x1b]0;x\\x07\\x0a of 3\na:\n\tb\\x1b\n");
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_text_reads_back),
        cmocka_unit_test(damaged_text_is_refused_or_read),
        cmocka_unit_test(syntax_is_refused_by_line),
        cmocka_unit_test(anchors_and_aliases_are_read),
        cmocka_unit_test(merge_keys_are_read),
        cmocka_unit_test(wrong_aliases_are_refused),
        cmocka_unit_test(what_aliases_copy_is_bounded),
        cmocka_unit_test(standard_tags_are_read_and_others_refused),
        cmocka_unit_test(markers_and_byte_order_marks_are_read),
        cmocka_unit_test(messages_show_control_characters),
        cmocka_unit_test(text_is_shown_without_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
