#include "mixers/mixer.h"

#include <string.h>

const rw_mixer *rw_mixer_find(const char *name)
{
    for (int i = 0; rw_mixer_registry[i]; i++)
        if (strcmp(rw_mixer_registry[i]->name, name) == 0) return rw_mixer_registry[i];
    return NULL;
}
