#include "cli/overrides.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static rw_status add(rw_overrides *list, const char *key, const char *value)
{
    if (list->count == RW_MAX_OVERRIDES)
        return rw_fail(RW_USAGE,
                       "more than %d settings on the command line; write them into the "
                       "configuration",
                       RW_MAX_OVERRIDES);
    char **owned = &list->owned[list->count];
    if (key) {
        size_t n = strlen(key) + strlen(value) + 2;
        RW_TRY(rw_alloc(n, 1, "a setting", owned));
        snprintf(*owned, n, "%s=%s", key, value);
    }
    list->text[list->count++] = key ? *owned : value;
    return RW_OK;
}

int rw_overrides_add(rw_overrides *list, const char *key, const char *value)
{
    if (list->status == RW_OK) list->status = add(list, key, value);
    return 0;
}

void rw_overrides_free(rw_overrides *list)
{
    for (int i = 0; i < list->count; i++) rw_free(&list->owned[i]);
    list->count = 0;
}
