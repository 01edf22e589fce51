#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"

#define MAX_LENGTH 63

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into
 * b (optimal string alignment), row by row. Lengths up to MAX_LENGTH. */
static int edit_distance(const char *a, const char *b)
{
    int rows[3][MAX_LENGTH + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];
    int length = (int)strlen(b);
    for (int j = 0; j <= length; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int *free_row = before;
        before = above;
        above = row;
        row = free_row;
        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(replace, 1 + least(above[j], row[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[length];
}

const char *rw_nearest(const char *name, const char *const *known, int count)
{
    size_t length = strlen(name);
    if (length > MAX_LENGTH) return NULL;
    int best = 2 + (int)length / 3; /* more than the largest near distance */
    const char *nearest = NULL;
    for (int i = 0; i < count; i++) {
        if (strlen(known[i]) > MAX_LENGTH) continue;
        int distance = edit_distance(name, known[i]);
        if (distance >= best) continue;
        best = distance;
        nearest = known[i];
    }
    return nearest;
}

static __attribute__((format(printf, 2, 3))) void append(char *advice, const char *format, ...)
{
    size_t used = strlen(advice);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(advice + used, RW_NAME_ADVICE - used, format, arguments);
    va_end(arguments);
}

const char *rw_name_advice(const char *name, const char *plural, const char *const *known,
                           int count, char advice[RW_NAME_ADVICE])
{
    const char *nearest = rw_nearest(name, known, count);
    advice[0] = '\0';
    if (nearest) append(advice, " (did you mean %s?)", nearest);
    append(advice, "; the %s are", plural);
    for (int i = 0; i < count; i++) append(advice, "%s %s", i ? "," : "", known[i]);
    return advice;
}
