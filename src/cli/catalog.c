#include "cli/catalog.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/key_text.h"

static void print_entry(const rw_catalog *catalog, int index)
{
    printf("%s: %s\n", catalog->entries[index].name, catalog->entries[index].summary);
    if (catalog->entries[index].source) printf("    %s\n", catalog->entries[index].source);
    rw_keys_print(NULL, catalog->entries[index].keys);
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
