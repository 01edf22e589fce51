/* The graph of a model: parameters, values and the ops between them, in order of execution. Mixers
 * and models add to the graph; the engine plans it. A value is a matrix (tokens, width). Ops see a
 * value chunk by chunk. All functions: not collective, deterministic; errors RW_USAGE for shapes
 * that do not fit, with the name of the parameter or op. */
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
    bool output;      /* computes the output of a block, a term of the residual stream */
    bool by_depth;    /* starts smaller in a model with more blocks */
    /* Set by the graph: */
    double rate, decay; /* factors of the learning rate and of weight decay (rw_growth) */
    size_t offset;      /* in reals, within the model's weights */
};

/* The size of a model relative to the base model, whose best learning rate is known. Initial
 * weights and learning rates are scaled so that the best rate stays the same:
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
    int residuals;        /* block outputs in the residual stream; 0: not scaled by depth */
    double wider, deeper; /* width and number of blocks over the base model's */
} rw_growth;

/* Inits for most: normal with deviation `scale`; the constant `scale`. */
void rw_init_normal(const rw_param *param, rw_random stream, real *out);
void rw_init_constant(const rw_param *param, rw_random stream, real *out);

typedef struct rw_graph rw_graph;

rw_status rw_graph_new(rw_graph **out);
void rw_graph_destroy(rw_graph **graph);

/* Prefix ("blocks.0.") of the names of all parameters from now on. */
rw_status rw_graph_scope(rw_graph *graph, const char *prefix);
/* From here on nodes belong to a new block: the unit of recomputation. */
void rw_graph_begin_block(rw_graph *graph);
/* The growth of all parameters from now on; at first the growth of a base model. */
void rw_graph_grow(rw_graph *graph, const rw_growth *growth);

/* Adds a parameter; *index is its number in the graph. `param->name` is relative to the scope and
 * copied; the graph assigns rate, decay and offset. */
rw_status rw_graph_param(rw_graph *graph, const rw_param *param, int *index);
/* The same under the name `name`.`suffix`; param->name does not matter. */
rw_status rw_graph_param_of(rw_graph *graph, const char *name, const char *suffix,
                            const rw_param *param, int *index);
/* Two usual parameters. `name`.weight (rows, cols), normal with deviation `scale`. The vector
 * `name`.`suffix` (1, width), without decay, by `init` with the scale `value` (init NULL: the
 * constant `value`). */
rw_status rw_graph_weight(rw_graph *graph, const char *name, long rows, long cols, double scale,
                          int *index);
rw_status rw_graph_vector(rw_graph *graph, const char *name, const char *suffix, long width,
                          void (*init)(const rw_param *param, rw_random stream, real *out),
                          double value, int *index);

/* Adds an op on the given inputs and parameters. `attributes` (attribute_bytes, copied) belong to
 * the op alone. Calls op->shape for the width of the output. *out is the output (out may be NULL
 * for an op without output). */
rw_status rw_graph_apply(rw_graph *graph, const rw_op *op, const void *attributes,
                         size_t attribute_bytes, const rw_value *in, int ins, const int *params,
                         int param_count, rw_value *out);

/* Prepares a node to run with a setting: op->sizes. Error: RW_USAGE for a setting with which the
 * op cannot run. */
rw_status rw_node_set(rw_node *node, const rw_setting *setting);

/* The parameters of a node in `weights`, all weights of the model, or in their gradient. */
void rw_graph_params_of(const rw_graph *graph, const rw_node *node, real *weights, real **param);
/* A forward call of `node` on whole values: value[id] is (rows, width). The caller sets all other
 * members. */
rw_call rw_graph_call(const rw_graph *graph, const rw_node *node, int rows, real *weights,
                      real *const *value);

/* Columns of a value (no op, no copy). */
rw_value rw_columns(rw_value value, int begin, int width);

/* The contents of the graph. The graph owns nodes and params. */
int rw_graph_nodes(const rw_graph *graph);
const rw_node *rw_graph_node(const rw_graph *graph, int index);
int rw_graph_values(const rw_graph *graph);
int rw_graph_width(const rw_graph *graph, int value_id);
int rw_graph_params(const rw_graph *graph);
const rw_param *rw_graph_param_at(const rw_graph *graph, int index);
size_t rw_graph_weights(const rw_graph *graph); /* reals of all parameters */

#endif
