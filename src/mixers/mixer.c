#include "mixers/mixer.h"

#include <string.h>

rw_status rw_mixer_check_columns(const rw_config *config, const char *key, int heads,
                                 int64_t columns)
{
    if (heads * columns <= RW_MIXER_MAX_COLUMNS) return RW_OK;
    return rw_config_fail(config, key,
                          "%d heads of %lld columns (queries, keys and values) are more than %d "
                          "columns; use fewer heads, or narrower ones",
                          heads, (long long)columns, RW_MIXER_MAX_COLUMNS);
}

const rw_mixer *rw_mixer_find(const char *name)
{
    for (int i = 0; rw_mixer_registry[i]; i++)
        if (strcmp(rw_mixer_registry[i]->name, name) == 0) return rw_mixer_registry[i];
    return NULL;
}
