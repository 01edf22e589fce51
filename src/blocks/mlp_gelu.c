#include "blocks/mlp.h"

static rw_status mlp_gelu_build(rw_graph *graph, const rw_config *config, rw_value x, rw_value *y)
{
    return rw_mlp_build(graph, config, 1, rw_gelu, x, y);
}

const rw_mlp rw_mlp_gelu = {
    .name = "gelu",
    .summary = "gelu(x W), then a projection back",
    .source = "Hendrycks and Gimpel 2016, Gaussian error linear units",
    .keys = rw_mlp_keys,
    .build = mlp_gelu_build,
};
