#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/key_names.h"
#include "cli/key_text.h"

/* docs/config.in, line by line. Some lines stand for tables:
 *   @keys PATH@      the keys at PATH
 *   @all PATH@       the keys at PATH, with the keys of its choices
 *   @choices PATH@   each choice at PATH with a table of its own */
extern const char *const rw_config_page[];

enum { MARKDOWN = 256, KEYS };

typedef struct {
    const char *name;
    bool markdown, keys;
} arguments;

static const struct argp_option options[] = {
    {"markdown", MARKDOWN, NULL, 0,
     "Print docs/config.md: all keys, the command line, the run folder", 0},
    {"keys", KEYS, NULL, 0, "Print the path of each key, as --set takes it, a line each", 0},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case MARKDOWN:
        a->markdown = true;
        return 0;
    case KEYS:
        a->keys = true;
        return 0;
    default:
        return rw_command_argument(key, text, state, NULL, &a->name);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[NAME]",
    .doc = "Explains the keys of a configuration. NAME is a section (optimizer), a key "
           "(optimizer.lr, or lr), a choice with keys of its own (ssd, adamw, mqar), or a key of a "
           "choice (ssd.heads, model.blocks.0.heads). Without NAME all keys are listed.",
};

/* ---- Plain text ------------------------------------------------------------------ */

static void print_table(const rw_key_table *t)
{
    if (t->owner)
        printf("%s, %s: %s\n", t->path, t->owner, t->summary);
    else
        printf("%s: %s\n", t->path, t->summary);
    if (t->source) printf("    %s\n", t->source);
    rw_keys_print(t->path, t->keys);
}

static void print_key(const rw_key_table *t, const rw_key *key)
{
    const rw_key one[] = {*key, RW_KEYS_END};
    char path[RW_KEY_CELL];
    rw_key_path(t, key, path);
    printf("%s%s%s%s\n", path, t->owner ? " (" : "", t->owner ? t->owner : "", t->owner ? ")" : "");
    rw_keys_print(t->path, one);
}

static int print_tables(const rw_key_table *tables, int count, const char *name)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        if (name && !rw_key_has_name(&tables[i], NULL, name)) continue;
        if (found++) putchar('\n');
        print_table(&tables[i]);
    }
    return found;
}

static int print_keys_named(const rw_key_table *tables, int count, const char *name)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i].keys; key && key->name; key++) {
            if (!rw_key_has_name(&tables[i], key, name)) continue;
            if (found++) putchar('\n');
            print_key(&tables[i], key);
        }
    return found;
}

static rw_status print_text(const rw_key_table *tables, int count, const char *name)
{
    char nearest[RW_KEY_CELL];
    if (print_tables(tables, count, name)) return RW_OK;
    if (print_keys_named(tables, count, name)) return RW_OK;
    bool near = rw_key_nearest_name(tables, count, name, nearest);
    return rw_fail(RW_USAGE,
                   "there is no key, section or choice '%.60s'%s%s%s; `ropewalk config` lists all",
                   name, near ? " (did you mean " : "", nearest, near ? "?)" : "");
}

/* ---- Completion ------------------------------------------------------------------- */

static void print_path(const rw_key_table *t, const rw_key *key)
{
    char path[RW_KEY_CELL], choices[RW_KEY_CELL];
    rw_key_path(t, key, path);
    bool listed = rw_key_choices(t->path, key, choices);
    printf("%s%s%s\n", path, listed ? " " : "", choices);
}

static void print_paths(const rw_key_table *tables, int count)
{
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i].keys; key && key->name; key++)
            if (key->type != RW_KEY_MAP && key->type != RW_KEY_LIST) print_path(&tables[i], key);
}

/* ---- Markdown --------------------------------------------------------------------- */

/* A cell of a table. A "|" would end the cell: `bar` is printed instead. */
static void print_cell(const char *text, const char *bar)
{
    if (*text) putchar(' ');
    for (; *text; text++) {
        if (*text == '|')
            fputs(bar, stdout);
        else
            putchar(*text);
    }
    fputs(" |", stdout);
}

static void print_rows(const rw_key_table *t)
{
    char cell[RW_KEY_CELL];
    for (const rw_key *key = t->keys; key && key->name; key++) {
        printf("| %s%s`%s` |", t->owner ? t->owner : "", t->owner ? ": " : "", key->name);
        rw_key_describe_type(t->path, key, cell);
        print_cell(cell, ", ");
        rw_key_describe_default(key, cell);
        print_cell(strcmp(cell, "-") == 0 ? "" : cell, "\\|");
        print_cell(key->doc ? key->doc : "", "\\|");
        putchar('\n');
    }
}

static void print_head(void)
{
    puts("| key | type | default | meaning |");
    puts("|---|---|---|---|");
}

static void print_section(const rw_key_table *tables, int count, const char *path, bool choices)
{
    print_head();
    for (int i = 0; i < count; i++)
        if (strcmp(tables[i].path, path) == 0 && (choices || !tables[i].owner))
            print_rows(&tables[i]);
}

static void print_choices(const rw_key_table *tables, int count, const char *path)
{
    bool first = true;
    for (int i = 0; i < count; i++) {
        rw_key_table t = tables[i];
        if (strcmp(t.path, path) != 0 || !t.owner) continue;
        printf("%s**%s**: %s.", first ? "" : "\n", t.owner, t.summary);
        if (t.source) printf(" %s.", t.source);
        putchar('\n');
        first = false;
        if (!t.keys || !t.keys->name) continue;
        t.owner = NULL;
        putchar('\n');
        print_head();
        print_rows(&t);
    }
}

static void print_markdown(const rw_key_table *tables, int count)
{
    for (int i = 0; rw_config_page[i]; i++) {
        char path[64];
        if (sscanf(rw_config_page[i], "@keys %63[^@]@", path) == 1)
            print_section(tables, count, path, false);
        else if (sscanf(rw_config_page[i], "@all %63[^@]@", path) == 1)
            print_section(tables, count, path, true);
        else if (sscanf(rw_config_page[i], "@choices %63[^@]@", path) == 1)
            print_choices(tables, count, path);
        else
            puts(rw_config_page[i]);
    }
}

static rw_status run(int argc, char **argv)
{
    rw_key_table tables[RW_KEY_TABLES_MOST];
    arguments a = {0};
    int stop, count = rw_key_tables(tables);
    RW_TRY(rw_command_parse_alone(&argp, argc, argv, &a, &stop));
    if (stop) return RW_OK;
    if (a.name && (a.markdown || a.keys))
        return rw_fail(RW_USAGE, "--markdown and --keys print all keys; leave %.60s out", a.name);
    if (a.markdown)
        print_markdown(tables, count);
    else if (a.keys)
        print_paths(tables, count);
    else
        return print_text(tables, count, a.name);
    return RW_OK;
}

const rw_command rw_command_config = {
    .name = "config",
    .summary = "Explain the keys of a configuration",
    .run = run,
};
