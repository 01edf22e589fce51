#include "optim/optimizer.h"

#include <string.h>

const rw_optimizer *rw_optimizer_find(const char *name)
{
    for (int i = 0; rw_optimizer_registry[i]; i++)
        if (strcmp(rw_optimizer_registry[i]->name, name) == 0) return rw_optimizer_registry[i];
    return NULL;
}
