#include "model/reference.h"

#include "base/memory.h"

static rw_status run_node(const rw_model *model, int index, long length, const rw_sequence *data,
                          real *const *value, double *loss)
{
    rw_node node;
    real *scratch;
    RW_TRY(rw_model_node(model, index, &node));
    RW_TRY(rw_alloc(node.size.scratch, sizeof(real), "the reference", &scratch));
    rw_call call = rw_graph_call(model->graph, &node, (int)length, model->weights, value);
    call.loss.scale = 1;
    call.data.tokens = data->tokens;
    call.data.targets = data->targets;
    call.data.features = data->features;
    call.data.target_features = data->target_features;
    call.loss.sum = loss;
    call.scratch = scratch;
    node.op->reference(&call);
    rw_free(&scratch);
    return RW_OK;
}

rw_status rw_reference_loss(const rw_model *model, long length, const rw_sequence *data,
                            double *loss)
{
    rw_status status = RW_OK;
    const rw_graph *g = model->graph;
    size_t values = (size_t)rw_graph_values(g);
    real **value = NULL;
    RW_TRY(rw_alloc(values + 1, sizeof *value, "the reference", &value));
    for (size_t v = 0; v < values; v++)
        RW_TRY_DONE(rw_alloc((size_t)length * (size_t)rw_graph_width(g, (int)v), sizeof(real),
                             "the reference", &value[v]));
    *loss = 0;
    for (int i = 0; i < rw_graph_nodes(g); i++)
        RW_TRY_DONE(run_node(model, i, length, data, value, loss));
done:
    for (size_t v = 0; v < values; v++) rw_free(&value[v]);
    rw_free(&value);
    return status;
}
