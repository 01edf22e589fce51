/* Options of a command that set keys of the configuration: --dp 2 is parallel.dp=2. A list of
 * key.path=value texts. */
#ifndef RW_OVERRIDES_H
#define RW_OVERRIDES_H

#include "base/status.h"

enum { RW_MAX_OVERRIDES = 256 };

typedef struct {
    const char *text[RW_MAX_OVERRIDES];
    char *owned[RW_MAX_OVERRIDES];
    int count;
    rw_status status; /* status of the additions: argp's parsers cannot return it */
} rw_overrides;

/* Adds KEY=VALUE; with key NULL, `value` is the whole text, borrowed. Returns
 * 0, so that a parser can pass it on. */
int rw_overrides_add(rw_overrides *list, const char *key, const char *value);
void rw_overrides_free(rw_overrides *list);

#endif
