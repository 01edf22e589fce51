#include "model/model.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "blocks/mlp.h"
#include "blocks/norm.h"
#include "mixers/mixer.h"
#include "model/model_settings.h"
#include "objectives/objective.h"

/* ---- Blocks ------------------------------------------------------------------ */

/* A mixer with its own weights on the reversed sequence. */
static rw_status build_reversed(rw_graph *graph, const rw_mixer *mixer, const char *scope,
                                rw_config *block, rw_value x, rw_value *y)
{
    char inner[48];
    rw_value reversed, seen;
    snprintf(inner, sizeof inner, "%sreversed.", scope);
    RW_TRY(rw_graph_scope(graph, inner));
    RW_TRY(rw_reverse(graph, x, &reversed));
    RW_TRY(mixer->build(graph, block, reversed, &seen));
    RW_TRY(rw_graph_scope(graph, scope));
    return rw_reverse(graph, seen, y);
}

static rw_status build_mixer(rw_graph *graph, const char *scope, rw_config *block, rw_value x,
                             rw_value *y)
{
    const rw_mixer *mixer = rw_mixer_find(rw_config_string(block, "mixer"));
    RW_TRY(mixer->build(graph, block, x, y));
    if (!rw_config_bool(block, "bidirectional")) return RW_OK;
    rw_value before = *y, after;
    RW_TRY(build_reversed(graph, mixer, scope, block, x, &after));
    return rw_residual(graph, before, after, y);
}

static rw_status build_norm(rw_graph *graph, const rw_config *model, const char *name, rw_value x,
                            rw_value *y)
{
    return rw_norm_find(rw_config_string(model, "norm"))->build(graph, x, name, y);
}

/* x + dropout(f(norm(x))) */
static rw_status build_block(rw_graph *graph, const rw_config *model, const char *scope,
                             rw_config *block, rw_value *x)
{
    const char *mlp = rw_config_raw(block, "mlp");
    rw_value normal, y, sum;
    rw_graph_begin_block(graph);
    RW_TRY(build_norm(graph, model, "pre_norm", *x, &normal));
    RW_TRY(mlp ? rw_mlp_find(mlp)->build(graph, block, normal, &y)
               : build_mixer(graph, scope, block, normal, &y));
    double rate = rw_config_real(model, "dropout");
    if (rate > 0) RW_TRY(rw_dropout(graph, y, rate, &y));
    RW_TRY(rw_residual(graph, *x, y, &sum));
    *x = sum;
    return RW_OK;
}

static int blocks_of(const rw_config *model)
{
    return rw_config_count(model, "blocks") * (int)rw_config_int(model, "repeat");
}

static rw_status build_blocks(rw_graph *graph, const rw_config *model, rw_value *x)
{
    const int count = rw_config_count(model, "blocks");
    for (int i = 0; i < blocks_of(model); i++) {
        char scope[32];
        snprintf(scope, sizeof scope, "blocks.%d.", i);
        RW_TRY(rw_graph_scope(graph, scope));
        RW_TRY(build_block(graph, model, scope, rw_config_at(model, "blocks", i % count), x));
    }
    return rw_graph_scope(graph, "");
}

static rw_status build_input(rw_graph *graph, const rw_format *format, int width, int *table,
                             rw_value *x)
{
    *table = -1;
    if (format->vocab > 0) return rw_embedding(graph, "embedding", format->vocab, width, table, x);
    rw_value features;
    RW_TRY(rw_features(graph, format->features, &features));
    rw_linear_options in = {.name = "embedding", .width = width, .bias = true, .narrow = true};
    return rw_linear(graph, features, &in, x);
}

static double over(int64_t size, int64_t base)
{
    return base ? (double)size / (double)base : 1;
}

static rw_growth growth_of(const rw_config *model)
{
    const int blocks = blocks_of(model);
    return (rw_growth){
        .residuals = blocks,
        .wider = over(rw_config_int(model, "width"), rw_config_int(model, "base_width")),
        .deeper = over(blocks, rw_config_int(model, "base_depth")),
    };
}

static rw_status build(rw_graph *graph, rw_config *model, const rw_format *format)
{
    const rw_growth growth = growth_of(model);
    const rw_objective *objective;
    RW_TRY(rw_objective_find(rw_config_string(model, "objective"), format, &objective));
    rw_value x, normal;
    int table;
    rw_graph_grow(graph, &growth);
    RW_TRY(build_input(graph, format, (int)rw_config_int(model, "width"), &table, &x));
    RW_TRY(build_blocks(graph, model, &x));
    rw_graph_begin_block(graph);
    RW_TRY(build_norm(graph, model, "final_norm", x, &normal));
    if (!rw_config_bool(model, "tie_embeddings")) table = -1;
    return objective->build(graph, format, normal, table);
}

/* ---- Models ------------------------------------------------------------------- */

static void draw_weights(rw_model *model, uint64_t seed)
{
    for (int i = 0; i < rw_graph_params(model->graph); i++) {
        const rw_param *p = rw_graph_param_at(model->graph, i);
        p->init(p, rw_random_stream(seed, RW_RANDOM_WEIGHTS, (uint64_t)i),
                model->weights + p->offset);
    }
}

/* Names and shapes of all parameters, hashed. */
static rw_status identify(rw_model *model)
{
    XXH64_hash_t hash = 0;
    for (int i = 0; i < rw_graph_params(model->graph); i++) {
        const rw_param *p = rw_graph_param_at(model->graph, i);
        long shape[2] = {p->rows, p->cols};
        hash = XXH3_64bits_withSeed(p->name, strlen(p->name), hash);
        hash = XXH3_64bits_withSeed(shape, sizeof shape, hash);
    }
    char line[128];
    snprintf(line, sizeof line, "%ld parameters in %d tensors, %016" PRIx64,
             rw_model_parameters(model), rw_graph_params(model->graph), (uint64_t)hash);
    return rw_strdup(line, &model->identity);
}

rw_status rw_model_of_graph(rw_graph *graph, int chunk, uint64_t seed, bool trained, rw_model **out)
{
    rw_status status = RW_OK;
    rw_model *m = NULL;
    *out = NULL;
    size_t reals = rw_graph_weights(graph);
    RW_TRY_DONE(rw_alloc(1, sizeof *m, "a model", &m));
    m->graph = graph;
    graph = NULL;
    m->chunk = chunk;
    RW_TRY_DONE(rw_alloc(reals, sizeof(real), "weights", &m->weights));
    if (trained) RW_TRY_DONE(rw_alloc(reals, sizeof(real), "gradients", &m->gradient));
    RW_TRY_DONE(identify(m));
    draw_weights(m, seed);
done:
    rw_graph_destroy(&graph);
    if (status != RW_OK) rw_model_destroy(&m);
    *out = m;
    return status;
}

rw_status rw_model_graph(rw_config *model, const rw_format *format, rw_graph **out)
{
    rw_status status = RW_OK;
    *out = NULL;
    RW_TRY(rw_model_check(model));
    RW_TRY_DONE(rw_graph_new(out));
    RW_TRY_DONE(build(*out, model, format));
done:
    if (status != RW_OK) rw_graph_destroy(out);
    return status;
}

rw_status rw_model_new(rw_config *model, const rw_format *format, uint64_t seed, bool trained,
                       rw_model **out)
{
    rw_graph *graph = NULL;
    *out = NULL;
    RW_TRY(rw_model_graph(model, format, &graph));
    return rw_model_of_graph(graph, (int)rw_config_int(model, "chunk"), seed, trained, out);
}

void rw_model_destroy(rw_model **model)
{
    rw_model *m = *model;
    if (!m) return;
    rw_graph_destroy(&m->graph);
    rw_free(&m->weights);
    rw_free(&m->gradient);
    rw_free(&m->identity);
    rw_free(model);
}

long rw_model_parameters(const rw_model *model)
{
    long n = 0;
    for (int i = 0; i < rw_graph_params(model->graph); i++) {
        const rw_param *p = rw_graph_param_at(model->graph, i);
        n += p->rows * p->cols;
    }
    return n;
}

bool rw_model_sees_ahead(const rw_model *model)
{
    for (int i = 0; i < rw_graph_nodes(model->graph); i++)
        if (rw_graph_node(model->graph, i)->op->sees_ahead) return true;
    return false;
}

rw_status rw_model_node(const rw_model *model, int index, rw_node *out)
{
    *out = *rw_graph_node(model->graph, index);
    return rw_node_set(out, &(rw_setting){.chunk = model->chunk, .levels = 1});
}

double rw_model_step_flops(const rw_model *model, long length, double tokens)
{
    int whole = length < INT_MAX ? (int)length : INT_MAX;
    int rows = whole < model->chunk ? whole : model->chunk;
    double each = 0;
    for (int i = 0; i < rw_graph_nodes(model->graph); i++) {
        rw_node node;
        if (rw_model_node(model, i, &node) != RW_OK) continue;
        /* The work of a global op may grow faster than the number of rows. */
        if (node.op->global)
            each += node.op->flops(&node, whole) / whole * rows;
        else
            each += node.op->flops(&node, rows);
    }
    return 3 * each / rows * tokens;
}
