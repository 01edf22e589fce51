/* The graph of a model: parameters, values and the ops that connect them, in
 * order of execution. Mixers and models add to it; the engine plans it.
 *
 * A value is a matrix (tokens, width). Ops see it one chunk at a time. All
 * functions: not collective, deterministic; errors RW_USAGE for shapes that
 * do not fit, with the name of what is being built. */
#ifndef RW_GRAPH_H
#define RW_GRAPH_H

#include "base/random.h"
#include "graph/op.h"

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
    bool wide;        /* a matrix whose number of columns grows with the width of the model */
    bool output;      /* makes the output of a block, which is added to those of the others */
    bool by_depth;    /* and starts smaller, the more of them there are */
    /* Set by the graph: */
    double rate, decay; /* factors of the learning rate and of weight decay (rw_growth) */
    size_t offset;      /* in reals, within the model's weights */
};

/* The model beside the one at which its learning rate was found, which says how parameters start
 * and learn so that the best rate stays the best:
 *
 *   wide      learning rate / wider, weight decay * wider
 *   output    deviation, and learning rate, / deeper; weight decay * deeper
 *   by_depth  deviation / root of the number of outputs that the base model adds up
 *
 * Sources: Yang et al. 2022, Tensor programs V, table 8 (muP for Adam, without the multiplier of
 * the output projection: docs/decisions/0029-initial-weights.md); Dey et al. 2025, Don't be lazy:
 * CompleteP, table 1 (depth, with alpha 1; weight decay); Radford et al. 2019, Language models are
 * unsupervised multitask learners, section 2.3 (by_depth). */
typedef struct {
    int residuals;        /* outputs of blocks that the model adds up; 0: no matter */
    double wider, deeper; /* width and number of blocks, over those of the base model */
} rw_growth;

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
/* Of parameters made from now on; at first those of a base model with no matter how many blocks. */
void rw_graph_grow(rw_graph *graph, const rw_growth *growth);

/* Adds a parameter; *index identifies it in this graph. `param->name` is
 * relative to the scope and copied; rate, decay and offset are assigned. */
rw_status rw_graph_param(rw_graph *graph, const rw_param *param, int *index);
/* The same under the name `name`.`suffix`; param->name does not matter. */
rw_status rw_graph_param_of(rw_graph *graph, const char *name, const char *suffix,
                            const rw_param *param, int *index);
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

/* Prepares a node to run with a setting: op->sizes. Error: RW_USAGE for a setting with which the
 * op cannot run. */
rw_status rw_node_set(rw_node *node, const rw_setting *setting);

/* The parameters of a node in `weights`, all weights of the model, or in their gradient. */
void rw_graph_params_of(const rw_graph *graph, const rw_node *node, real *weights, real **param);
/* A forward call of `node` on whole values: value[id] is (rows, width). What else the op reads
 * is for the caller to set. */
rw_call rw_graph_call(const rw_graph *graph, const rw_node *node, int rows, real *weights,
                      real *const *value);

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
