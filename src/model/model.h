/* A model: a graph with its weights. Built from the `model` part of a
 * configuration and the format of the data. */
#ifndef RW_MODEL_H
#define RW_MODEL_H

#include "base/config.h"
#include "data/batch.h"
#include "graph/graph.h"

typedef struct {
    rw_graph *graph;
    real *weights;  /* rw_graph_weights reals; parameter i at its offset */
    real *gradient; /* same shape; NULL unless trained */
    int chunk;      /* tokens of a chunk, T */
    char *identity; /* a line of text on which model and checkpoint must agree */
} rw_model;

/* Checks config["model"], builds the graph for this data and objective, and
 * draws the initial weights (a function of the seed alone). Not collective.
 * The caller owns *out. Errors: RW_USAGE, naming the key. */
rw_status rw_model_new(rw_config *model, const rw_format *format, uint64_t seed, bool trained,
                       rw_model **out);
/* The graph of the same model alone: names and shapes of its parameters, without memory for them.
 * The caller owns *out. Same errors. */
rw_status rw_model_graph(rw_config *model, const rw_format *format, rw_graph **out);
/* A model of any graph (tests): takes ownership of the graph. */
rw_status rw_model_of_graph(rw_graph *graph, int chunk, uint64_t seed, bool trained,
                            rw_model **out);
void rw_model_destroy(rw_model **model);

/* Number of learned values. */
long rw_model_parameters(const rw_model *model);
/* Does a prediction depend on later tokens of the sequence? */
bool rw_model_sees_ahead(const rw_model *model);
/* Node `index` of the graph, sized for chunks of the model's length. */
rw_status rw_model_node(const rw_model *model, int index, rw_node *out);
/* Floating-point operations of one training step on `tokens` tokens (forward
 * plus twice that for backward), nothing recomputed. */
double rw_model_step_flops(const rw_model *model, long length, double tokens);

#endif
