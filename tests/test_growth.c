/* Initial weights and learning rates by width and depth: outputs of blocks start smaller in deeper
 * models; with base_width and base_depth a model that is as large as the base is the same model, a
 * larger one learns at the rates of muP, and its training at one learning rate looks alike whatever
 * its width and depth. Of all mixers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "mixers/mixer.h"
#include "testing.h"

enum { CHUNK = 16, LENGTH = 64, BATCH = 4, SEED = 3 };

static const rw_format bytes = {.vocab = 32, .target_vocab = 32};

/* `text`: the mapping `model`. */
static rw_model *model_of(const char *text)
{
    rw_config *config;
    rw_model *model;
    test_ok(rw_config_parse(text, "a test", NULL, 0, &config));
    test_ok(rw_model_new(config, &bytes, SEED, true, &model));
    rw_config_destroy(&config);
    return model;
}

/* Of one mixer, and of an mlp; `rest`: further keys. */
static rw_model *model_with(const rw_mixer *mixer, int width, int repeat, const char *rest)
{
    char text[512];
    snprintf(text, sizeof text,
             "{width: %d, chunk: %d, repeat: %d%s, blocks: [{mixer: %s}, {mlp: swiglu}]}", width,
             CHUNK, repeat, rest, mixer->name);
    return model_of(text);
}

static const rw_param *param_at(const rw_model *model, int i)
{
    return rw_graph_param_at(model->graph, i);
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), last = strlen(end);
    return length >= last && strcmp(name + length - last, end) == 0;
}

/* ---- Initial weights ---------------------------------------------------------------- */

static void test_outputs_start_smaller_in_deeper_models(void **state)
{
    const rw_mixer *mixer = *state;
    rw_model *shallow = model_with(mixer, 32, 1, ""), *deep = model_with(mixer, 32, 4, "");
    int outputs = 0;
    for (int i = 0; i < rw_graph_params(shallow->graph); i++) {
        const rw_param *a = param_at(shallow, i), *b = param_at(deep, i);
        if (strcmp(a->name, b->name) != 0) break; /* the final norm, behind further blocks */
        outputs += a->output && a->rows > 1;
        const double wanted = a->by_depth ? a->scale / 2 : a->scale;
        if (!(fabs(b->scale - wanted) <= 1e-12))
            fail_msg("%s starts with %g, not %g", b->name, b->scale, wanted);
    }
    assert_int_equal(outputs, 2); /* of the mixer and of the mlp */
    rw_model_destroy(&shallow);
    rw_model_destroy(&deep);
}

/* ---- Growth ---------------------------------------------------------------------------- */

static void test_the_base_is_the_same_model(void **state)
{
    const rw_mixer *mixer = *state;
    rw_model *plain = model_with(mixer, 32, 2, "");
    rw_model *base = model_with(mixer, 32, 2, ", base_width: 32, base_depth: 4");
    assert_memory_equal(plain->weights, base->weights,
                        rw_graph_weights(plain->graph) * sizeof(real));
    for (int i = 0; i < rw_graph_params(base->graph); i++) {
        assert_true(param_at(base, i)->rate == 1);
        assert_true(param_at(base, i)->decay == 1);
    }
    rw_model_destroy(&plain);
    rw_model_destroy(&base);
}

/* Matrices that a vector as wide as the model is not multiplied by, though they have its width. */
static bool is_no_product(const char *name)
{
    return ends_with(name, "embedding.weight") || ends_with(name, "conv.weight");
}

static double rate_by_definition(const rw_param *narrow, const rw_param *wide, double wider)
{
    if (wide->group != RW_GROUP_WEIGHT || is_no_product(wide->name)) return 1;
    return wide->cols == narrow->cols ? 1 : 1 / wider;
}

/* What grows with the width is found by comparing two models: by names and shapes alone. */
static void test_rates_of_a_wider_model(void **state)
{
    const rw_mixer *mixer = *state;
    rw_model *narrow = model_with(mixer, 32, 1, "");
    rw_model *wide = model_with(mixer, 64, 1, ", base_width: 16");
    for (int i = 0; i < rw_graph_params(wide->graph); i++) {
        const rw_param *p = param_at(wide, i);
        const double wanted = rate_by_definition(param_at(narrow, i), p, 4);
        if (!(fabs(p->rate - wanted) <= 1e-12) || !(fabs(p->rate * p->decay - 1) <= 1e-12))
            fail_msg("%s learns %g times as fast, not %g, and decays %g times", p->name, p->rate,
                     wanted, p->decay);
    }
    rw_model_destroy(&narrow);
    rw_model_destroy(&wide);
}

static void test_rates_of_a_deeper_model(void **state)
{
    const rw_mixer *mixer = *state;
    rw_model *base = model_with(mixer, 32, 1, ""),
             *deep = model_with(mixer, 32, 4, ", base_depth: 2");
    for (int i = 0; i < rw_graph_params(base->graph); i++) {
        const rw_param *a = param_at(base, i), *b = param_at(deep, i);
        if (strcmp(a->name, b->name) != 0) break;
        /* The base has two blocks, as has the model without one. */
        const double factor = a->output ? 0.25 : 1;
        assert_true(fabs(b->scale - factor * a->scale) <= 1e-12);
        assert_true(fabs(b->rate - factor) <= 1e-12 && fabs(b->decay * factor - 1) <= 1e-12);
    }
    rw_model_destroy(&base);
    rw_model_destroy(&deep);
}

/* ---- One rate for all sizes --------------------------------------------------------------- */

enum { STEPS = 12 };

static void fill(int32_t *tokens, long count)
{
    const rw_random random = rw_random_stream(SEED, RW_RANDOM_TEST, 1);
    for (long i = 0; i < count; i++)
        tokens[i] = (int32_t)(rw_random_uniform(random, (uint64_t)(i % 24)) * bytes.vocab);
}

/* The loss on rows that repeat, after some steps at a high rate. */
static double loss_after_steps(rw_model *model)
{
    static int32_t tokens[BATCH * LENGTH + 1];
    const rw_plan_options options = {
        .chunk = CHUNK, .length = LENGTH, .batch = BATCH, .accumulate = 1, .training = true};
    const rw_batch batch = {.sequences = BATCH,
                            .rows = LENGTH,
                            .tokens = tokens,
                            .targets = tokens + 1,
                            .counted = BATCH * LENGTH};
    rw_layout layout;
    rw_engine *engine;
    rw_updater *updater;
    rw_loss loss;
    fill(tokens, BATCH * LENGTH + 1);
    test_ok(rw_layout_alone(1, &layout));
    test_ok(rw_engine_new(model, &layout, &options, &engine));
    test_updater_new(model, rw_optimizer_find("adamw"), "clip: 1", NULL, &updater);
    for (int i = 0; i < STEPS; i++) {
        rw_engine_train(engine, &batch, SEED, (uint64_t)i, &loss);
        rw_updater_step(updater, (uint64_t)i, 0.03, rw_updater_norm(updater));
    }
    rw_engine_evaluate(engine, &batch, NULL, &loss);
    rw_updater_destroy(&updater);
    rw_engine_destroy(&engine);
    rw_layout_free(&layout);
    rw_model_destroy(&model);
    return loss.loss;
}

static double loss_of(int heads, int width, int repeat, const char *rest)
{
    char text[512];
    snprintf(text, sizeof text,
             "{width: %d, chunk: %d, repeat: %d%s, blocks: [{mixer: attention, heads: %d}, {mlp: "
             "swiglu}]}",
             width, CHUNK, repeat, rest, heads);
    return loss_after_steps(model_of(text));
}

static void test_one_rate_for_all_sizes(void **state)
{
    const char *base = ", base_width: 32, base_depth: 2";
    (void)state;
    const double small = loss_of(2, 32, 1, "");
    const double grown = loss_of(16, 256, 4, base), plain = loss_of(16, 256, 4, "");
    print_message("loss at width 32: %g; at 256 and four times the depth: %g, without scaling %g\n",
                  small, grown, plain);
    assert_true(grown < small);
    assert_true(plain > 2 * small);
}

int main(int argc, char **argv)
{
    enum { EACH = 4 };
    static struct CMUnitTest tests[EACH * 64 + 1];
    int count = 0;
    MPI_Init(&argc, &argv);
    for (int i = 0; rw_mixer_registry[i]; i++) {
        void *mixer = (void *)(uintptr_t)rw_mixer_registry[i];
        const CMUnitTestFunction each[EACH] = {
            test_outputs_start_smaller_in_deeper_models, test_the_base_is_the_same_model,
            test_rates_of_a_wider_model, test_rates_of_a_deeper_model};
        for (int k = 0; k < EACH; k++)
            tests[count++] = (struct CMUnitTest){
                .name = rw_mixer_registry[i]->name, .test_func = each[k], .initial_state = mixer};
    }
    tests[count++] = (struct CMUnitTest){.name = "one rate for all sizes",
                                         .test_func = test_one_rate_for_all_sizes};
    int failed = _cmocka_run_group_tests("growth", tests, (size_t)count, NULL, NULL);
    MPI_Finalize();
    return failed;
}
