/* The graph of a model: parameters, values and the ops that connect them, in
 * order of execution. Mixers and models add to it; the engine plans it.
 *
 * A value is a matrix (tokens, width). Ops see it one chunk at a time. All
 * functions: not collective, deterministic; errors RW_USAGE for shapes that
 * do not fit, with the name of what is being built. */
#ifndef RW_GRAPH_H
#define RW_GRAPH_H

#include "base/random.h"
#include "ops/op.h"

/* How a parameter is treated by the optimizer. */
typedef enum {
    RW_GROUP_WEIGHT, /* weight decay applies */
    RW_GROUP_PLAIN,  /* norms, biases: no decay */
    RW_GROUP_STATE,  /* state-space parameters: no decay, their own lr factor */
} rw_group;

typedef struct rw_param rw_param;
struct rw_param {
    const char *name; /* full: "blocks.0.in.weight" */
    long rows, cols;
    rw_group group;
    /* Writes the initial value (rows, cols); element i from index i of the stream. */
    void (*init)(const rw_param *param, rw_random stream, real *out);
    double scale;     /* argument of init: standard deviation or constant */
    double low, high; /* further arguments of init */
    size_t offset;    /* in reals, within the model's weights */
};

/* Inits for most: normal with deviation `scale`; the constant `scale`. */
void rw_init_normal(const rw_param *param, rw_random stream, real *out);
void rw_init_constant(const rw_param *param, rw_random stream, real *out);

typedef struct rw_graph rw_graph;

rw_status rw_graph_new(rw_graph **out);
void rw_graph_destroy(rw_graph **graph);

/* Names of parameters made from now on start with this ("blocks.0."). */
rw_status rw_graph_scope(rw_graph *graph, const char *prefix);
/* From here on nodes belong to a new block: the unit of recomputation. */
void rw_graph_begin_block(rw_graph *graph);

/* Adds a parameter; *index identifies it in this graph. `param->name` is
 * relative to the scope and copied; offset is assigned. */
rw_status rw_graph_param(rw_graph *graph, const rw_param *param, int *index);
/* The usual ones: `name`.weight (rows, cols), normal with deviation `scale`,
 * and the vector `name`.`suffix` (1, width), without decay, by `init`, whose
 * scale is `value` (NULL: it starts at `value`). */
rw_status rw_graph_weight(rw_graph *graph, const char *name, long rows, long cols, double scale,
                          int *index);
rw_status rw_graph_vector(rw_graph *graph, const char *name, const char *suffix, long width,
                          void (*init)(const rw_param *param, rw_random stream, real *out),
                          double value, int *index);

/* Adds an op on the given inputs and parameters. `attributes` (attribute_bytes,
 * copied) are for the op alone. Calls op->shape, which sets the output's width;
 * *out is the output (may be NULL where the op has none). */
rw_status rw_graph_apply(rw_graph *graph, const rw_op *op, const void *attributes,
                         size_t attribute_bytes, const rw_value *in, int ins, const int *params,
                         int param_count, rw_value *out);

/* Columns of a value (no op, no copy). */
rw_value rw_columns(rw_value value, int begin, int width);

/* What has been built. Nodes and params are owned by the graph. */
int rw_graph_nodes(const rw_graph *graph);
const rw_node *rw_graph_node(const rw_graph *graph, int index);
int rw_graph_values(const rw_graph *graph);
int rw_graph_width(const rw_graph *graph, int value_id);
int rw_graph_params(const rw_graph *graph);
const rw_param *rw_graph_param_at(const rw_graph *graph, int index);
size_t rw_graph_weights(const rw_graph *graph); /* reals of all parameters */

#endif
