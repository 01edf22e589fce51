#include "blocks/mlp.h"

static rw_status mlp_swiglu_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    return rw_mlp_build(graph, config, 2, rw_swiglu, x, y);
}

const rw_mlp rw_mlp_swiglu = {
    .name = "swiglu",
    .summary = "gated: (x W silu) * (x V), then a projection back",
    .source = "Shazeer 2020, GLU variants improve transformer, section 2",
    .keys = rw_mlp_keys,
    .build = mlp_swiglu_build,
};
