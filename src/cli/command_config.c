#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/key_tables.h"

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
    .doc =
        "Explains the keys of a configuration. NAME is a section (optimizer), a key "
        "(optimizer.lr, or lr), or a choice with keys of its own (ssd, adamw, mqar). Without NAME "
        "all keys are listed.",
};

/* ---- Plain text ------------------------------------------------------------------ */

static void print_title(const rw_key_table *t)
{
    if (t->owner)
        printf("%s, %s: %s\n", t->path, t->owner, t->summary);
    else
        printf("%s: %s\n", t->path, t->summary);
    if (t->source) printf("    %s\n", t->source);
}

static void print_key(const rw_key_table *t, const rw_key *key)
{
    const rw_key one[] = {*key, RW_KEYS_END};
    printf("%s.%s%s%s%s\n", t->path, key->name, t->owner ? " (" : "", t->owner ? t->owner : "",
           t->owner ? ")" : "");
    rw_keys_print(one);
}

/* Does NAME mean the table: "optimizer", "adamw" or "optimizer.adamw"? */
static bool is_table(const rw_key_table *t, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", t->path, t->owner ? t->owner : "");
    return strcmp(name, t->path) == 0 || (t->owner && strcmp(name, t->owner) == 0) ||
           strcmp(name, full) == 0;
}

/* Does NAME mean the key: "lr" or "optimizer.lr"? */
static bool is_key(const rw_key_table *t, const rw_key *key, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", t->path, key->name);
    return strcmp(name, key->name) == 0 || strcmp(name, full) == 0;
}

static int print_tables(const rw_key_table *tables, int count, const char *name)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        if (name && !is_table(&tables[i], name)) continue;
        if (found++) putchar('\n');
        print_title(&tables[i]);
        rw_keys_print(tables[i].keys);
    }
    return found;
}

static int print_keys_named(const rw_key_table *tables, int count, const char *name)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i].keys; key && key->name; key++) {
            if (!is_key(&tables[i], key, name)) continue;
            if (found++) putchar('\n');
            print_key(&tables[i], key);
        }
    return found;
}

static rw_status unknown(const rw_key_table *tables, int count, const char *name)
{
    enum { MOST = 1024 };
    const char *known[MOST];
    int names = 0;
    const char *last = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    for (int i = 0; i < count && names < MOST; i++) {
        known[names++] = tables[i].owner ? tables[i].owner : tables[i].path;
        for (const rw_key *key = tables[i].keys; key && key->name && names < MOST; key++)
            known[names++] = key->name;
    }
    const char *near = rw_nearest(last, known, names);
    return rw_fail(RW_USAGE,
                   "there is no key, section or choice %.60s%s%s%s; `ropewalk config` lists all",
                   name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static rw_status print_text(const rw_key_table *tables, int count, const char *name)
{
    if (print_tables(tables, count, name)) return RW_OK;
    return print_keys_named(tables, count, name) ? RW_OK : unknown(tables, count, name);
}

/* ---- Completion ------------------------------------------------------------------- */

static void print_paths(const rw_key_table *tables, int count)
{
    for (int i = 0; i < count; i++)
        for (const rw_key *key = tables[i].keys; key && key->name; key++)
            if (strcmp(tables[i].path, "model.blocks") != 0 && key->type != RW_KEY_MAP &&
                key->type != RW_KEY_LIST)
                printf("%s.%s\n", tables[i].path, key->name);
}

/* ---- Markdown --------------------------------------------------------------------- */

/* A cell of a table: "|" would end it. */
static void print_cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputs(", ", stdout);
        else
            putchar(*text);
    }
    fputs(" |", stdout);
}

static void print_rows(const rw_key_table *t)
{
    char cell[RW_KEY_CELL];
    for (const rw_key *key = t->keys; key && key->name; key++) {
        printf("| %s%s`%s` | ", t->owner ? t->owner : "", t->owner ? ": " : "", key->name);
        rw_key_describe_type(key, cell);
        print_cell(cell);
        putchar(' ');
        rw_key_describe_default(key, cell);
        print_cell(strcmp(cell, "-") == 0 ? "" : cell);
        putchar(' ');
        print_cell(key->doc ? key->doc : "");
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
    for (int i = 0; i < count; i++) {
        rw_key_table t = tables[i];
        if (strcmp(t.path, path) != 0 || !t.owner) continue;
        printf("**%s**: %s.", t.owner, t.summary);
        if (t.source) printf(" %s.", t.source);
        fputs("\n\n", stdout);
        if (t.keys && t.keys->name) {
            t.owner = NULL;
            print_head();
            print_rows(&t);
            putchar('\n');
        }
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
