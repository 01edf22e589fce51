#include "graph/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

struct rw_graph {
    rw_node *nodes;
    void **attributes; /* a copy for each node, owned */
    int *widths;       /* of each value */
    rw_param *params;
    size_t node_capacity, attribute_capacity, value_capacity, param_capacity;
    int node_count, value_count, param_count, blocks;
    size_t weights;
    rw_growth growth;
    char scope[64];
};

void rw_init_normal(const rw_param *param, rw_random stream, real *out)
{
    for (long i = 0; i < param->rows * param->cols; i++)
        out[i] = (real)(param->scale * rw_random_normal(stream, (uint64_t)i));
}

void rw_init_constant(const rw_param *param, rw_random stream, real *out)
{
    (void)stream;
    for (long i = 0; i < param->rows * param->cols; i++) out[i] = (real)param->scale;
}

rw_status rw_graph_new(rw_graph **out)
{
    RW_TRY(rw_alloc(1, sizeof **out, "a graph", out));
    (*out)->blocks = 1;
    (*out)->growth = (rw_growth){.wider = 1, .deeper = 1};
    return RW_OK;
}

void rw_graph_destroy(rw_graph **graph)
{
    rw_graph *g = *graph;
    if (!g) return;
    for (int i = 0; i < g->node_count; i++) rw_free(&g->attributes[i]);
    for (int i = 0; i < g->param_count; i++) rw_free(&g->params[i].name);
    rw_free(&g->nodes);
    rw_free(&g->attributes);
    rw_free(&g->widths);
    rw_free(&g->params);
    rw_free(graph);
}

rw_status rw_graph_scope(rw_graph *graph, const char *prefix)
{
    if (strlen(prefix) >= sizeof graph->scope)
        return rw_fail(RW_USAGE, "the name prefix %s is too long", prefix);
    snprintf(graph->scope, sizeof graph->scope, "%s", prefix);
    return RW_OK;
}

void rw_graph_begin_block(rw_graph *graph)
{
    graph->blocks++;
}

void rw_graph_grow(rw_graph *graph, const rw_growth *growth)
{
    graph->growth = *growth;
}

static void grow(const rw_growth *growth, rw_param *p)
{
    p->rate = 1;
    if (p->wide) p->rate /= growth->wider;
    if (p->output) p->rate /= growth->deeper;
    if (p->output) p->scale /= growth->deeper;
    if (p->by_depth && growth->residuals > 0) p->scale /= sqrt(growth->residuals / growth->deeper);
    p->decay = 1 / p->rate;
}

rw_status rw_graph_param(rw_graph *graph, const rw_param *param, int *index)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", graph->scope, param->name);
    for (int i = 0; i < graph->param_count; i++)
        if (strcmp(graph->params[i].name, name) == 0)
            return rw_fail(RW_ERROR, "two parameters of the model are named %s", name);
    RW_TRY(rw_grow(&graph->params, &graph->param_capacity, (size_t)graph->param_count + 1,
                   sizeof *param));
    rw_param *p = &graph->params[graph->param_count];
    *p = *param;
    p->name = NULL;
    RW_TRY(rw_strdup(name, (char **)&p->name));
    grow(&graph->growth, p);
    p->offset = graph->weights;
    /* Each parameter starts on a cache line of its own. */
    graph->weights += rw_whole_lines((size_t)(p->rows * p->cols));
    *index = graph->param_count++;
    return RW_OK;
}

rw_status rw_graph_param_of(rw_graph *graph, const char *name, const char *suffix,
                            const rw_param *param, int *index)
{
    char full[256];
    rw_param named = *param;
    const int length = snprintf(full, sizeof full, "%s.%s", name, suffix);
    if (length < 0 || (size_t)length >= sizeof full)
        return rw_fail(RW_USAGE, "the parameter name %s.%s is longer than %zu characters", name,
                       suffix, sizeof full - 1);
    named.name = full;
    return rw_graph_param(graph, &named, index);
}

rw_status rw_graph_weight(rw_graph *graph, const char *name, long rows, long cols, double scale,
                          int *index)
{
    const rw_param param = {.rows = rows,
                            .cols = cols,
                            .group = RW_GROUP_WEIGHT,
                            .init = rw_init_normal,
                            .scale = scale};
    return rw_graph_param_of(graph, name, "weight", &param, index);
}

rw_status rw_graph_vector(rw_graph *graph, const char *name, const char *suffix, long width,
                          void (*init)(const rw_param *param, rw_random stream, real *out),
                          double value, int *index)
{
    const rw_param param = {.rows = 1,
                            .cols = width,
                            .group = RW_GROUP_PLAIN,
                            .init = init ? init : rw_init_constant,
                            .scale = value};
    return rw_graph_param_of(graph, name, suffix, &param, index);
}

static rw_status new_value(rw_graph *graph, int width, int *id)
{
    RW_TRY(rw_grow(&graph->widths, &graph->value_capacity, (size_t)graph->value_count + 1,
                   sizeof *graph->widths));
    graph->widths[graph->value_count] = width;
    *id = graph->value_count++;
    return RW_OK;
}

static void connect(rw_graph *graph, rw_node *node, const rw_value *in, int ins, const int *params,
                    int param_count)
{
    node->ins = ins;
    node->params = param_count;
    for (int i = 0; i < ins; i++) {
        node->in[i] = in[i].id;
        node->in_begin[i] = in[i].begin;
        node->in_width[i] = in[i].width;
    }
    for (int i = 0; i < param_count; i++) {
        node->param[i] = params[i];
        node->param_rows[i] = graph->params[params[i]].rows;
        node->param_cols[i] = graph->params[params[i]].cols;
    }
}

rw_status rw_graph_apply(rw_graph *graph, const rw_op *op, const void *attributes,
                         size_t attribute_bytes, const rw_value *in, int ins, const int *params,
                         int param_count, rw_value *out)
{
    size_t need = (size_t)graph->node_count + 1;
    void *copy;
    RW_TRY(rw_grow(&graph->nodes, &graph->node_capacity, need, sizeof *graph->nodes));
    RW_TRY(rw_grow(&graph->attributes, &graph->attribute_capacity, need, sizeof(void *)));
    RW_TRY(rw_alloc(attribute_bytes, 1, "attributes of an op", &copy));
    if (attribute_bytes) memcpy(copy, attributes, attribute_bytes);
    rw_node *node = &graph->nodes[graph->node_count];
    *node = (rw_node){.op = op, .index = graph->node_count, .block = graph->blocks - 1, .out = -1};
    memcpy(node->scope, graph->scope, sizeof node->scope);
    node->attributes = graph->attributes[graph->node_count] = copy;
    graph->node_count++;
    connect(graph, node, in, ins, params, param_count);
    RW_TRY(op->shape(node, &node->out_width));
    if (!op->is_loss) {
        RW_TRY(new_value(graph, node->out_width, &node->out));
        *out = (rw_value){node->out, 0, node->out_width};
    }
    return RW_OK;
}

rw_status rw_node_set(rw_node *node, const rw_setting *setting)
{
    node->setting = *setting;
    node->size = (rw_sizes){.slices = 1};
    return node->op->sizes ? node->op->sizes(node) : RW_OK;
}

void rw_graph_params_of(const rw_graph *graph, const rw_node *node, real *weights, real **param)
{
    for (int k = 0; k < node->params; k++)
        param[k] = weights + graph->params[node->param[k]].offset;
}

rw_call rw_graph_call(const rw_graph *graph, const rw_node *node, int rows, real *weights,
                      real *const *value)
{
    rw_call call = {.node = node, .rows = rows};
    rw_graph_params_of(graph, node, weights, (real **)call.param);
    for (int k = 0; k < node->ins; k++) {
        call.in[k] = value[node->in[k]] + node->in_begin[k];
        call.in_ld[k] = graph->widths[node->in[k]];
    }
    if (node->out >= 0) {
        call.out = value[node->out];
        call.out_ld = node->out_width;
    }
    return call;
}

rw_value rw_columns(rw_value value, int begin, int width)
{
    return (rw_value){value.id, value.begin + begin, width};
}

int rw_graph_nodes(const rw_graph *graph)
{
    return graph->node_count;
}
const rw_node *rw_graph_node(const rw_graph *graph, int index)
{
    return &graph->nodes[index];
}
int rw_graph_values(const rw_graph *graph)
{
    return graph->value_count;
}
int rw_graph_width(const rw_graph *graph, int value_id)
{
    return graph->widths[value_id];
}
int rw_graph_params(const rw_graph *graph)
{
    return graph->param_count;
}
const rw_param *rw_graph_param_at(const rw_graph *graph, int index)
{
    return &graph->params[index];
}
size_t rw_graph_weights(const rw_graph *graph)
{
    return graph->weights;
}
