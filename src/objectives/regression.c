/* Predict real targets: mean squared error. */
#include "objectives/objective.h"

static bool regression_accepts(const rw_format *format)
{
    return format->target_features > 0;
}

static rw_status regression_build(rw_graph *graph, const rw_format *format, rw_value x, int table)
{
    (void)table;
    return rw_squared_error(graph, x, "head", format->target_features);
}

const rw_objective rw_objective_regression = {
    .name = "regression",
    .summary = "mean squared error of real targets",
    .accepts = regression_accepts,
    .build = regression_build,
};
