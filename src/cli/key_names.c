#include "cli/key_names.h"

#include <stdio.h>
#include <string.h>

void rw_key_path(const rw_key_table *table, const rw_key *key, char out[RW_KEY_CELL])
{
    snprintf(out, RW_KEY_CELL, "%s.%s%s", table->path, table->in_list ? "N." : "", key->name);
}

/* ---- Spellings --------------------------------------------------------------------- */

static void append(char out[RW_KEY_CELL], const char *component)
{
    size_t used = strlen(out);
    snprintf(out + used, RW_KEY_CELL - used, "%s%s", used ? "." : "", component);
}

/* Spelling number `form` of a key (NULL: of the table): its name, after the path (bit 0), after the
 * choice (bit 1), after both. Returns false if there is no such spelling. */
static bool spell(const rw_key_table *t, const rw_key *key, int form, char out[RW_KEY_CELL])
{
    bool with_path = form & 1, with_owner = form & 2;
    out[0] = '\0';
    if (with_owner && !t->owner) return false;
    if (with_path) append(out, t->path);
    if (with_owner) append(out, t->owner);
    if (key) append(out, key->name);
    return out[0] != '\0';
}

enum { FORMS = 4 };

/* Characters of "0." or "N." at the start; 0: something else. "0" and "N" may end the text. */
static size_t number_length(const char *text)
{
    size_t length = text[0] == 'N' ? 1 : strspn(text, "0123456789");
    if (length == 0 || (text[length] && text[length] != '.')) return 0;
    return length + (text[length] == '.');
}

/* Copies the name. If the table is in a list, the number of the element is left out:
 * "model.blocks.0.state", "model.blocks.N.state" become "model.blocks.state". */
static void leave_number_out(const rw_key_table *t, const char *name, char out[RW_KEY_CELL])
{
    size_t length = strlen(t->path);
    snprintf(out, RW_KEY_CELL, "%s", name);
    if (!t->in_list || strncmp(name, t->path, length) != 0 || name[length] != '.') return;
    size_t number = number_length(name + length + 1);
    if (number == 0) return;
    const char *rest = name + length + 1 + number;
    snprintf(out, RW_KEY_CELL, "%s%s%s", t->path, *rest ? "." : "", rest);
}

bool rw_key_has_name(const rw_key_table *table, const rw_key *key, const char *name)
{
    char wanted[RW_KEY_CELL], spelling[RW_KEY_CELL];
    leave_number_out(table, name, wanted);
    for (int form = 0; form < FORMS; form++)
        if (spell(table, key, form, spelling) && strcmp(wanted, spelling) == 0) return true;
    return false;
}

/* ---- Nearest ------------------------------------------------------------------------- */

/* Replaces `out` by a spelling that is nearer to the name. */
static void compare(const rw_key_table *t, const rw_key *key, const char *name,
                    char out[RW_KEY_CELL])
{
    char wanted[RW_KEY_CELL], spelling[RW_KEY_CELL];
    leave_number_out(t, name, wanted);
    for (int form = 0; form < FORMS; form++) {
        if (!spell(t, key, form, spelling)) continue;
        const char *const known[] = {out, spelling}; /* of equal distances the first is taken */
        int first = out[0] ? 0 : 1;
        if (rw_nearest(wanted, known + first, 2 - first) == spelling)
            memcpy(out, spelling, RW_KEY_CELL);
    }
}

bool rw_key_nearest_name(const rw_key_table *tables, int count, const char *name,
                         char out[RW_KEY_CELL])
{
    out[0] = '\0';
    for (int i = 0; i < count; i++) {
        compare(&tables[i], NULL, name, out);
        for (const rw_key *key = tables[i].keys; key && key->name; key++)
            compare(&tables[i], key, name, out);
    }
    return out[0] != '\0';
}
