#include "objectives/objective.h"

#include <string.h>

rw_status rw_objective_find(const char *name, const rw_format *format, const rw_objective **out)
{
    bool any = strcmp(name, "auto") == 0;
    for (int i = 0; rw_objective_registry[i]; i++) {
        const rw_objective *o = rw_objective_registry[i];
        if (!any && strcmp(name, o->name) != 0) continue;
        if (o->accepts(format)) {
            *out = o;
            return RW_OK;
        }
        if (!any)
            return rw_fail(RW_USAGE, "objective %s does not fit the data: %s", name, o->summary);
    }
    return rw_fail(RW_USAGE, "unknown objective %s; use auto", name);
}
