#include "measure/op_uses.h"

#include <stdio.h>

#include "base/memory.h"
#include "mixers/mixer.h"

static const rw_format bytes_format = {.vocab = 256, .target_vocab = 256};
enum { SAMPLE_FEATURES = 8 };

/* Takes ownership of the model. */
static rw_status add_model(rw_op_uses *u, rw_model *model, const char *where)
{
    rw_status status = RW_OK;
    size_t need = u->model_count + 1;
    RW_TRY_DONE(rw_grow(&u->models, &u->model_capacity, need, sizeof(rw_model *)));
    RW_TRY_DONE(rw_grow(&u->where, &u->where_capacity, need, sizeof *u->where));
    u->where[u->model_count] = where;
    u->models[u->model_count++] = model;
    model = NULL;
done:
    rw_model_destroy(&model);
    return status;
}

/* A model of these blocks; no model if they do not fit its width. */
static rw_status add_blocks(rw_op_uses *u, int width, int chunk, const char *blocks,
                            const char *where)
{
    char text[256];
    rw_config *config = NULL;
    rw_model *model = NULL;
    snprintf(text, sizeof text, "{width: %d, chunk: %d, blocks: [%s]}", width, chunk, blocks);
    RW_TRY(rw_config_parse(text, "bench", NULL, 0, &config));
    rw_status status = rw_model_new(config, &bytes_format, 1, false, &model);
    rw_config_destroy(&config);
    if (status == RW_OK) return add_model(u, model, where);
    if (status == RW_USAGE) rw_clear_message();
    return status == RW_USAGE ? RW_OK : status;
}

static rw_status build_sample(rw_graph *graph, const rw_op *op, int width)
{
    const rw_linear_options in = {.name = "input", .width = width};
    rw_value features, x, y;
    RW_TRY(rw_features(graph, SAMPLE_FEATURES, &features));
    RW_TRY(rw_linear(graph, features, &in, &x));
    RW_TRY(rw_graph_scope(graph, "sample."));
    return op->sample(graph, x, &y);
}

static rw_status add_sample(rw_op_uses *u, const rw_op *op, int width, int chunk)
{
    rw_graph *graph = NULL;
    rw_model *model = NULL;
    RW_TRY(rw_graph_new(&graph));
    rw_status status = build_sample(graph, op, width);
    if (status != RW_OK) {
        rw_graph_destroy(&graph);
        return status;
    }
    RW_TRY(rw_model_of_graph(graph, chunk, 1, false, &model));
    return add_model(u, model, "sample");
}

/* Notes the op's first use in the models from `from` on; false if there is none. */
static rw_status note(rw_op_uses *u, const rw_op *op, size_t from, bool *found)
{
    *found = false;
    for (size_t m = from; m < u->model_count && !*found; m++)
        for (int i = 0; i < rw_graph_nodes(u->models[m]->graph) && !*found; i++) {
            if (rw_graph_node(u->models[m]->graph, i)->op != op) continue;
            RW_TRY(rw_grow(&u->use, &u->capacity, u->count + 1, sizeof *u->use));
            u->use[u->count++] = (rw_op_use){op, u->models[m], i, u->where[m]};
            *found = true;
        }
    return RW_OK;
}

static rw_status note_registered(rw_op_uses *u, int width, int chunk)
{
    for (int i = 0; rw_op_registry[i]; i++) {
        bool found;
        size_t sample = u->model_count;
        RW_TRY(note(u, rw_op_registry[i], 0, &found));
        if (found) continue;
        RW_TRY(add_sample(u, rw_op_registry[i], width, chunk));
        RW_TRY(note(u, rw_op_registry[i], sample, &found));
    }
    return RW_OK;
}

rw_status rw_op_uses_new(int width, int chunk, rw_op_uses *out)
{
    *out = (rw_op_uses){.count = 0};
    for (int i = 0; rw_mixer_registry[i]; i++) {
        char block[80];
        const char *name = rw_mixer_registry[i]->name;
        snprintf(block, sizeof block, "{mixer: %.60s}", name);
        RW_TRY(add_blocks(out, width, chunk, block, name));
    }
    RW_TRY(add_blocks(out, width, chunk,
                      "{mixer: linear_attention, feature_map: taylor, decay: none}",
                      "linear_attention"));
    RW_TRY(add_blocks(out, width, chunk, "{mlp: swiglu}, {mlp: gelu}", "mlp"));
    return note_registered(out, width, chunk);
}

void rw_op_uses_free(rw_op_uses *uses)
{
    for (size_t i = 0; i < uses->model_count; i++) rw_model_destroy(&uses->models[i]);
    rw_free(&uses->models);
    rw_free(&uses->where);
    rw_free(&uses->use);
}
