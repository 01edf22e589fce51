#include "blocks/norm.h"

#include <string.h>

const rw_norm *rw_norm_find(const char *name)
{
    for (int i = 0; rw_norm_registry[i]; i++)
        if (strcmp(rw_norm_registry[i]->name, name) == 0) return rw_norm_registry[i];
    return NULL;
}
