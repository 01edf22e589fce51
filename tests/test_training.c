/* Every task through a whole model: its data as the loader hands it out, the loss
 * against the reference, and every optimizer lowers it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "data_pipeline/loader.h"
#include "model/reference.h"
#include "testing.h"

enum { CHUNK = 16, LENGTH = 120, BATCH = 4, STEPS = 20, SEED = 2 };

/* A task with its defaults and a small model for it. */
typedef struct {
    rw_config *config; /* of the data */
    rw_source *source;
    rw_loader *loader;
    const rw_batch *batch;
    rw_layout layout;
    rw_model *model;
    rw_engine *engine;
} training;

static void open_data(const rw_task *task, training *t)
{
    char text[128];
    snprintf(text, sizeof text, "{task: {name: %s}, length: %d, batch: %d}", task->name, LENGTH,
             BATCH);
    test_ok(rw_config_parse(text, "a test", NULL, 0, &t->config));
    test_ok(rw_config_check(t->config, (const rw_key *const[]){rw_data_keys}, 1));
    test_ok(rw_source_open(t->config, SEED, &t->source));
    test_ok(rw_loader_new(t->source, RW_TRAIN, BATCH, (rw_range){0, BATCH}, (rw_range){0, LENGTH},
                          0, &t->loader));
    test_ok(rw_loader_next(t->loader, &t->batch));
}

static void open_training_in(const rw_task *task, int micro_batches, training *t)
{
    const rw_plan_options options = {.chunk = CHUNK,
                                     .length = LENGTH,
                                     .batch = BATCH,
                                     .accumulate = micro_batches,
                                     .training = true};
    test_subject subject = {.op = NULL};
    open_data(task, t);
    subject.format = *rw_source_format(t->source);
    test_ok(rw_layout_alone(1, &t->layout));
    test_ok(test_model_new(&subject, CHUNK, &t->model));
    test_ok(rw_engine_new(t->model, &t->layout, &options, &t->engine));
}

static void open_training(const rw_task *task, training *t)
{
    open_training_in(task, 1, t);
}

static void close_training(training *t)
{
    rw_engine_destroy(&t->engine);
    rw_model_destroy(&t->model);
    rw_layout_free(&t->layout);
    rw_loader_destroy(&t->loader);
    rw_source_close(&t->source);
    rw_config_destroy(&t->config);
}

/* ---- Tests ---------------------------------------------------------------------- */

static rw_sequence sequence_of(const rw_batch *batch, long index)
{
    long row = index * batch->rows;
    rw_sequence out = {0};
    if (batch->tokens) out.tokens = batch->tokens + row;
    if (batch->targets) out.targets = batch->targets + row;
    if (batch->features) out.features = batch->features + row * batch->feature_width;
    if (batch->target_features)
        out.target_features = batch->target_features + row * batch->target_width;
    return out;
}

static void test_loss_is_the_reference(void **state)
{
    training t;
    rw_loss loss;
    double sum = 0;
    open_training(*state, &t);
    rw_engine_evaluate(t.engine, t.batch, NULL, &loss);
    assert_true(loss.counted > 0);
    for (long b = 0; b < BATCH; b++) {
        double each;
        rw_sequence sequence = sequence_of(t.batch, b);
        test_ok(rw_reference_loss(t.model, LENGTH, &sequence, &each));
        sum += each;
    }
    double wanted = sum / loss.counted;
    if (!(fabs(loss.loss - wanted) <= 1e-4 * wanted))
        fail_msg("the loss is %.9g, the reference %.9g", loss.loss, wanted);
    close_training(&t);
}

static double train(training *t, const rw_optimizer *optimizer, int steps)
{
    rw_updater *updater;
    rw_loss loss;
    test_updater_new(t->model, optimizer, "clip: 1", NULL, &updater);
    for (int i = 0; i < steps; i++) {
        rw_engine_train(t->engine, t->batch, SEED, (uint64_t)i, &loss);
        rw_updater_step(updater, (uint64_t)i, 0.01, rw_updater_norm(updater));
    }
    rw_updater_destroy(&updater);
    rw_engine_evaluate(t->engine, t->batch, NULL, &loss);
    return loss.loss;
}

/* Steps on one batch, over and over. */
static void test_optimizers_lower_the_loss(void **state)
{
    for (int i = 0; rw_optimizer_registry[i]; i++) {
        training t;
        open_training(*state, &t);
        double before = train(&t, rw_optimizer_registry[i], 0);
        double after = train(&t, rw_optimizer_registry[i], STEPS);
        if (!(after < before))
            fail_msg("%s: the loss is %g, was %g", rw_optimizer_registry[i]->name, after, before);
        close_training(&t);
    }
}

static bool stops_at(void *state)
{
    return --*(int *)state == 0;
}

/* Asked before each micro-batch but the first. A step that is given up leaves the weights
 * alone, and the next one is as if it had not been begun. */
static void test_a_step_is_given_up(void **state)
{
    enum { PARTS = 4 };
    training t, other;
    rw_loss loss, wanted;
    open_training_in(*state, PARTS, &t);
    open_training_in(*state, PARTS, &other);
    size_t bytes = rw_graph_weights(t.model->graph) * sizeof(real);
    for (int at = 1; at <= PARTS; at++) {
        int left = at;
        rw_engine_let_stop(t.engine, stops_at, &left);
        assert_int_equal(rw_engine_train(t.engine, t.batch, SEED, 0, &loss), at == PARTS);
        assert_int_equal(left, at == PARTS);
        assert_memory_equal(t.model->weights, other.model->weights, bytes);
    }
    rw_engine_let_stop(t.engine, NULL, NULL);
    assert_true(rw_engine_train(t.engine, t.batch, SEED, 0, &loss));
    assert_true(rw_engine_train(other.engine, other.batch, SEED, 0, &wanted));
    assert_memory_equal(&loss.loss, &wanted.loss, sizeof loss.loss);
    assert_memory_equal(t.model->gradient, other.model->gradient, bytes);
    close_training(&t);
    close_training(&other);
}

/* No targets: no mean, of any loss, and no gradient. */
static void test_no_targets_have_no_mean(void **state)
{
    training t;
    rw_loss loss;
    open_training(*state, &t);
    rw_batch batch = *t.batch;
    for (long i = 0; i < batch.sequences * batch.rows; i++) {
        if (batch.targets) batch.targets[i] = RW_IGNORE;
        for (int k = 0; !batch.targets && k < batch.target_width; k++)
            batch.target_features[i * batch.target_width + k] = NAN;
    }
    batch.counted = 0;
    rw_engine_evaluate(t.engine, &batch, NULL, &loss);
    assert_true(isnan(loss.loss) && loss.counted == 0 && loss.correct == 0);
    rw_engine_train(t.engine, &batch, SEED, 0, &loss);
    assert_true(isnan(loss.loss) && loss.counted == 0);
    for (size_t i = 0; i < rw_graph_weights(t.model->graph); i++)
        assert_true(t.model->gradient[i] == 0);
    close_training(&t);
}

/* A model that gives all tokens the same score does not know any of them. */
static void test_equal_scores_are_not_right(void **state)
{
    training t;
    rw_loss loss;
    double first = 0;
    open_training(*state, &t);
    const rw_batch *batch = t.batch;
    memset(t.model->weights, 0, rw_graph_weights(t.model->graph) * sizeof(real));
    rw_engine_evaluate(t.engine, batch, NULL, &loss);
    for (long i = 0; batch->targets && i < batch->sequences * batch->rows; i++)
        first += batch->targets[i] == 0;
    assert_true(loss.correct == first && loss.correct < loss.counted);
    close_training(&t);
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        CMUnitTestFunction run;
    } checks[] = {
        {"loss is the reference", test_loss_is_the_reference},
        {"optimizers lower the loss", test_optimizers_lower_the_loss},
        {"a step is given up between micro-batches", test_a_step_is_given_up},
        {"no targets have no mean", test_no_targets_have_no_mean},
        {"equal scores are not right", test_equal_scores_are_not_right},
    };
    enum { CHECKS = sizeof checks / sizeof *checks, MOST = 256 };
    static char names[MOST][96];
    static struct CMUnitTest tests[MOST];
    size_t n = 0;
    MPI_Init(&argc, &argv);
    for (int i = 0; rw_task_registry[i]; i++)
        for (size_t k = 0; k < CHECKS && n < MOST; k++, n++) {
            snprintf(names[n], sizeof names[n], "task %s: %s", rw_task_registry[i]->name,
                     checks[k].name);
            tests[n] = (struct CMUnitTest){.name = names[n],
                                           .test_func = checks[k].run,
                                           .initial_state = (void *)rw_task_registry[i]};
        }
    int failed = _cmocka_run_group_tests("training", tests, n, NULL, NULL);
    MPI_Finalize();
    return failed;
}
