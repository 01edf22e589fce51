#include "cli/catalog.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"

#define CELL_SIZE 160

/* "1 .. 64", ">= 1", ">= 0"; empty if unlimited. */
static void describe_range(const rw_key *key, char cell[CELL_SIZE])
{
    bool above = key->max < key->min || key->max > 1e15, below = key->min < -1e15;
    cell[0] = '\0';
    if (key->min == 0 && key->max == 0) return;
    if (above)
        snprintf(cell, CELL_SIZE, " >= %g", key->min);
    else if (below)
        snprintf(cell, CELL_SIZE, " <= %.10g", key->max);
    else
        snprintf(cell, CELL_SIZE, " %.10g .. %.10g", key->min, key->max);
}

static void describe_type(const rw_key *key, char cell[CELL_SIZE])
{
    static const char *const names[] = {
        [RW_KEY_INT] = "integer", [RW_KEY_REAL] = "real",   [RW_KEY_BOOL] = "true, false",
        [RW_KEY_STRING] = "text", [RW_KEY_MAP] = "mapping", [RW_KEY_LIST] = "list"};
    char range[CELL_SIZE];
    describe_range(key, range);
    if (key->choices)
        snprintf(cell, CELL_SIZE, "%s", key->choices);
    else
        snprintf(cell, CELL_SIZE, "%s%.60s", names[key->type], range);
}

static void describe_default(const rw_key *key, char cell[CELL_SIZE])
{
    snprintf(cell, CELL_SIZE, "%s",
             key->fallback   ? key->fallback
             : key->required ? "required"
                             : "-");
}

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

/* One key a line: name, type with range or choices, default, doc. */
static void print_keys(const rw_key *keys)
{
    char type[CELL_SIZE], value[CELL_SIZE];
    int name_width = 0, type_width = 0, value_width = 0;
    for (const rw_key *key = keys; key && key->name; key++) {
        describe_type(key, type);
        describe_default(key, value);
        name_width = wider(name_width, key->name);
        type_width = wider(type_width, type);
        value_width = wider(value_width, value);
    }
    for (const rw_key *key = keys; key && key->name; key++) {
        describe_type(key, type);
        describe_default(key, value);
        printf("    %-*s  %-*s  %-*s  %s\n", name_width, key->name, type_width, type, value_width,
               value, key->doc ? key->doc : "");
    }
}

static void print_entry(const rw_catalog *catalog, int index)
{
    printf("%s: %s\n", catalog->entries[index].name, catalog->entries[index].summary);
    if (catalog->entries[index].source) printf("    %s\n", catalog->entries[index].source);
    print_keys(catalog->entries[index].keys);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    return rw_command_argument(key, argument, state, NULL, state->input);
}

static rw_status find(const rw_catalog *catalog, const char *name, int *index)
{
    const char *names[RW_CATALOG_MOST];
    for (int i = 0; i < catalog->count; i++) {
        names[i] = catalog->entries[i].name;
        *index = i;
        if (strcmp(names[i], name) == 0) return RW_OK;
    }
    char plural[32], advice[RW_NAME_ADVICE];
    snprintf(plural, sizeof plural, "%ss", catalog->what);
    return rw_fail(RW_USAGE, "there is no %s %.60s%s", catalog->what, name,
                   rw_name_advice(name, plural, names, catalog->count, advice));
}

rw_status rw_catalog_run(const rw_catalog *catalog, int argc, char **argv)
{
    const struct argp argp = {.parser = parse_option, .args_doc = "[NAME]", .doc = catalog->doc};
    const char *wanted = NULL;
    int stop, first = 0, last = catalog->count - 1;
    RW_TRY(rw_command_parse_alone(&argp, argc, argv, &wanted, &stop));
    if (stop) return RW_OK;
    if (wanted) {
        RW_TRY(find(catalog, wanted, &first));
        last = first;
    }
    for (int i = first; i <= last; i++) {
        if (i > first) putchar('\n');
        print_entry(catalog, i);
    }
    return RW_OK;
}
