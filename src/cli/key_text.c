#include "cli/key_text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- Cells ----------------------------------------------------------------------- */

/* "1 .. 64", ">= 1", ">= 0"; empty if unlimited. */
static void describe_range(const rw_key *key, char cell[RW_KEY_CELL])
{
    bool above = key->max < key->min || key->max > 1e16, below = key->min < -1e16;
    cell[0] = '\0';
    if (key->min == 0 && key->max == 0) return;
    if (above)
        snprintf(cell, RW_KEY_CELL, " >= %g", key->min);
    else if (below)
        snprintf(cell, RW_KEY_CELL, " <= %.10g", key->max);
    else
        snprintf(cell, RW_KEY_CELL, " %.10g .. %.10g", key->min, key->max);
}

void rw_key_describe_type(const char *path, const rw_key *key, char cell[RW_KEY_CELL])
{
    static const char *const names[] = {
        [RW_KEY_INT] = "integer", [RW_KEY_REAL] = "real",   [RW_KEY_BOOL] = "",
        [RW_KEY_STRING] = "text", [RW_KEY_MAP] = "mapping", [RW_KEY_LIST] = "list"};
    char range[RW_KEY_CELL];
    if (rw_key_choices(path, key, cell)) return;
    describe_range(key, range);
    snprintf(cell, RW_KEY_CELL, "%s%.60s", names[key->type], range);
}

void rw_key_describe_default(const rw_key *key, char cell[RW_KEY_CELL])
{
    snprintf(cell, RW_KEY_CELL, "%s",
             key->fallback   ? key->fallback
             : key->required ? "required"
                             : "-");
}

/* ---- Lines for the terminal ----------------------------------------------------- */

/* Widths of the columns of a table, in characters. */
typedef struct {
    int name, type, value;
} columns;

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

static columns measure(const char *path, const rw_key *keys)
{
    columns c = {0, 0, 0};
    char cell[RW_KEY_CELL];
    for (const rw_key *key = keys; key && key->name; key++) {
        c.name = wider(c.name, key->name);
        rw_key_describe_type(path, key, cell);
        /* A long list of choices does not widen the column for all. */
        if (strlen(cell) <= 24) c.type = wider(c.type, cell);
        rw_key_describe_default(key, cell);
        c.value = wider(c.value, cell);
    }
    return c;
}

/* Characters of a line of the terminal; 0: standard output is a pipe or file, and a key is one line
 * there, for grep. */
static int line_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}

/* Prints words from column `indent` on; no line is longer than `width`. */
static void print_wrapped(const char *text, int indent, int width)
{
    int at = indent;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (at > indent && at + 1 + length > width)
            printf("\n%*s", at = indent, "");
        else if (at > indent)
            at += printf(" ");
        at += printf("%.*s", length, text);
        text += length + (int)strspn(text + length, " ");
    }
}

static void print_line(const char *path, const rw_key *key, columns c, int width)
{
    enum { INDENT = 4, DEEP = 8, NARROW = 32 };
    char type[RW_KEY_CELL], value[RW_KEY_CELL];
    rw_key_describe_type(path, key, type);
    rw_key_describe_default(key, value);
    int at = printf("%*s%-*s  %-*s  %-*s  ", INDENT, "", c.name, key->name, c.type, type, c.value,
                    value);
    if (width == 0) width = INT_MAX;
    if (width - at < NARROW) printf("\n%*s", at = DEEP, "");
    print_wrapped(key->doc ? key->doc : "", at, width);
    putchar('\n');
}

void rw_keys_print(const char *path, const rw_key *keys)
{
    columns c = measure(path, keys);
    int width = line_width();
    for (const rw_key *key = keys; key && key->name; key++) print_line(path, key, c, width);
}
