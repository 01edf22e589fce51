#include "measure/trainee.h"

#include <stdio.h>

#include "base/memory.h"
#include "measure/roofline.h"
#include "measure/rounds.h"
#include "mpi/shards.h"
#include "train/state.h"

enum { CHUNK = 256 };
/* Small: the weights shall keep the values of a model in training. */
#define LEARNING_RATE 1e-6

static const rw_format bytes_format = {.vocab = 256, .target_vocab = 256};

long rw_trainee_batch(long length, long tokens, int dp)
{
    long batch = (tokens + length - 1) / length;
    return (batch + dp - 1) / dp * dp;
}

int rw_trainee_chunk(long length, int sp)
{
    int chunk = CHUNK;
    while (chunk > 1 && length < (long)chunk * sp) chunk /= 2;
    return chunk;
}

static rw_status fill_batch(const rw_engine *engine, rw_batch *batch)
{
    rw_range own = rw_engine_sequences(engine), rows = rw_engine_rows(engine);
    batch->sequences = own.end - own.begin;
    batch->rows = rows.end - rows.begin;
    batch->counted = batch->sequences * batch->rows;
    size_t n = (size_t)batch->counted;
    RW_TRY(rw_alloc(n, sizeof(int32_t), "tokens", &batch->tokens));
    RW_TRY(rw_alloc(n, sizeof(int32_t), "targets", &batch->targets));
    for (size_t i = 0; i < n; i++) batch->tokens[i] = batch->targets[i] = (int32_t)(i * 7919 % 251);
    return RW_OK;
}

static rw_status new_updater(rw_trainee *t)
{
    rw_status status = RW_OK;
    rw_trained *tensors = NULL;
    rw_part *parts = NULL;
    const rw_optimizer *adamw = rw_optimizer_find("adamw");
    RW_TRY_DONE(rw_config_parse("{name: adamw}", "bench", NULL, 0, &t->optimizer));
    RW_TRY_DONE(
        rw_config_check(t->optimizer, (const rw_key *const[]){rw_update_keys, adamw->keys}, 2));
    RW_TRY_DONE(
        rw_state_trained(t->model, rw_config_real(t->optimizer, "state_lr_factor"), &tensors));
    RW_TRY_DONE(rw_state_parts(t->model, t->layout, &parts));
    RW_TRY_DONE(rw_updater_new(t->optimizer, 1, tensors, rw_graph_params(t->model->graph), parts,
                               &t->updater));
done:
    rw_free(&tensors);
    rw_free(&parts);
    return status;
}

rw_status rw_trainee_open(const rw_layout *layout, const char *blocks,
                          const rw_plan_options *options, bool updates, rw_trainee *t)
{
    char text[512];
    *t = (rw_trainee){.layout = layout};
    snprintf(text, sizeof text, "{chunk: %d, %s}", options->chunk, blocks);
    RW_TRY(rw_config_parse(text, "bench", NULL, 0, &t->config));
    RW_TRY(rw_model_new(t->config, &bytes_format, 1, true, &t->model));
    size_t before = rw_memory_in_use();
    RW_TRY(rw_engine_new(t->model, layout, options, &t->engine));
    t->memory = (double)(rw_memory_in_use() - before);
    if (updates) RW_TRY(new_updater(t));
    return fill_batch(t->engine, &t->batch);
}

void rw_trainee_close(rw_trainee *t)
{
    rw_free(&t->batch.tokens);
    rw_free(&t->batch.targets);
    rw_updater_destroy(&t->updater);
    rw_engine_destroy(&t->engine);
    rw_model_destroy(&t->model);
    rw_config_destroy(&t->optimizer);
    rw_config_destroy(&t->config);
}

double rw_trainee_step(rw_trainee *t, uint64_t step)
{
    rw_loss loss;
    MPI_Barrier(t->layout->world);
    double start = rw_seconds();
    rw_engine_train(t->engine, &t->batch, 1, step, &loss);
    if (t->updater) {
        rw_updater_step(t->updater, step, LEARNING_RATE, rw_updater_norm(t->updater));
        rw_shards_all_gather(t->layout, rw_graph_weights(t->model->graph), t->model->weights);
    }
    return rw_over_ranks(t->layout, rw_seconds() - start, MPI_MAX);
}

double rw_trainee_evaluate(rw_trainee *t)
{
    rw_loss loss;
    MPI_Barrier(t->layout->world);
    double start = rw_seconds();
    rw_engine_evaluate(t->engine, &t->batch, NULL, &loss);
    return rw_over_ranks(t->layout, rw_seconds() - start, MPI_MAX);
}
