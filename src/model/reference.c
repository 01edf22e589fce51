#include "model/reference.h"

#include "base/memory.h"

static void run_node(const rw_model *model, const rw_node *node, long length,
                     const rw_sequence *data, real *const *value, real *scratch, double *loss)
{
    rw_call call = {.node = node, .rows = (int)length, .loss_scale = 1};
    call.tokens = data->tokens;
    call.targets = data->targets;
    call.features = data->features;
    call.target_features = data->target_features;
    call.loss = loss;
    call.scratch = scratch;
    for (int k = 0; k < node->params; k++)
        call.param[k] = model->weights + rw_graph_param_at(model->graph, node->param[k])->offset;
    for (int k = 0; k < node->ins; k++) {
        call.in[k] = value[node->in[k]] + node->in_begin[k];
        call.in_ld[k] = rw_graph_width(model->graph, node->in[k]);
    }
    if (node->out >= 0) {
        call.out = value[node->out];
        call.out_ld = node->out_width;
    }
    node->op->reference(&call);
}

rw_status rw_reference_loss(const rw_model *model, long length, const rw_sequence *data,
                            double *loss)
{
    rw_status status = RW_OK;
    const rw_graph *g = model->graph;
    size_t values = (size_t)rw_graph_values(g);
    real **value = NULL, *scratch = NULL;
    size_t working = 0;
    RW_TRY(rw_alloc(values + 1, sizeof *value, "the reference", &value));
    for (size_t v = 0; v < values; v++)
        RW_TRY_DONE(rw_alloc((size_t)length * (size_t)rw_graph_width(g, (int)v), sizeof(real),
                             "the reference", &value[v]));
    for (int i = 0; i < rw_graph_nodes(g); i++)
        if (rw_graph_node(g, i)->scratch > working) working = rw_graph_node(g, i)->scratch;
    RW_TRY_DONE(rw_alloc(working, sizeof(real), "the reference", &scratch));
    for (int i = 0; i < rw_graph_nodes(g); i++)
        run_node(model, rw_graph_node(g, i), length, data, value, scratch, loss);
done:
    for (size_t v = 0; v < values; v++) rw_free(&value[v]);
    rw_free(&value);
    rw_free(&scratch);
    return status;
}
