#include "blocks/mlp.h"

#include <math.h>
#include <string.h>

const rw_mlp *rw_mlp_find(const char *name)
{
    for (int i = 0; rw_mlp_registry[i]; i++)
        if (strcmp(rw_mlp_registry[i]->name, name) == 0) return rw_mlp_registry[i];
    return NULL;
}

const rw_key rw_mlp_keys[] = {
    {.name = "expand",
     .type = RW_KEY_REAL,
     .fallback = "2",
     .min = 0.1,
     .max = 64,
     .doc = "inner width over width"},
    RW_KEYS_END,
};

rw_status rw_mlp_build(rw_graph *graph, const rw_config *config, int factor,
                       rw_status (*activation)(rw_graph *graph, rw_value x, rw_value *y),
                       rw_value x, rw_value *y)
{
    const int inner = (int)ceil(x.width * rw_config_real(config, "expand") / 8) * 8;
    const rw_linear_options in = {.name = "up", .width = factor * inner};
    const rw_linear_options out = {.name = "down", .width = x.width, .output = true};
    rw_value up, active;
    RW_TRY(rw_linear(graph, x, &in, &up));
    RW_TRY(activation(graph, up, &active));
    return rw_linear(graph, active, &out, y);
}
