/* The linear attention mixer with every decay and feature map that go together,
 * in small models: engine, steps and gradients against the reference. What the
 * default keys do is in the tests of everything registered. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/recurrent.h"
#include "model/reference.h"
#include "testing.h"

#define IS_DOUBLE (sizeof(real) == 8)

enum { LENGTH = 150, SEQUENCES = 2 };

static const rw_format format = {.vocab = TEST_VOCAB, .target_features = TEST_FEATURES};

/* The keys of each combination. */
static const char *const combinations[] = {
    "heads: 2, decay: none, feature_map: identity, conv: 0",
    "heads: 2, decay: head, feature_map: identity",
    "heads: 2, decay: channel, feature_map: identity, key_width: 5, value_width: 3",
    "heads: 2, decay: none, feature_map: elu",
    "heads: 2, decay: head, feature_map: elu, value_width: 3",
    "heads: 2, decay: none, feature_map: taylor, key_width: 3",
    "heads: 2, decay: head, feature_map: taylor, conv: 0",
};
enum { COMBINATIONS = sizeof combinations / sizeof *combinations };

static rw_status model_new(const char *keys, int chunk, rw_model **out)
{
    char text[512];
    rw_config *config = NULL;
    snprintf(text, sizeof text, "{width: 16, chunk: %d, blocks: [{mixer: linear_attention, %s}]}",
             chunk, keys);
    *out = NULL;
    RW_TRY(rw_config_parse(text, "a test", NULL, 0, &config));
    rw_status status = rw_model_new(config, &format, 3, true, out);
    rw_config_destroy(&config);
    return status;
}

static void open_rig(const char *keys, int chunk, test_rig *out)
{
    rw_plan_options options = {
        .chunk = chunk, .length = LENGTH, .batch = SEQUENCES, .accumulate = 1, .training = true};
    test_ok(rw_layout_alone(1, &out->layout));
    test_ok(model_new(keys, chunk, &out->model));
    test_ok(rw_engine_new(out->model, &out->layout, &options, &out->engine));
    test_batch_new(SEQUENCES, LENGTH, &out->batch);
}

static void assert_near(double value, double wanted, double tolerance, const char *what)
{
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%s: %.12g is not %.12g (difference %.3g, allowed %.3g)", what, value, wanted,
                 value - wanted, tolerance);
}

static void check_reference(const char *keys, int chunk)
{
    double sum = 0, counted;
    test_rig rig;
    open_rig(keys, chunk, &rig);
    counted = (double)rig.batch.counted;
    for (long b = 0; b < SEQUENCES; b++) {
        double loss;
        rw_sequence sequence = test_batch_sequence(&rig.batch, b);
        test_ok(rw_reference_loss(rig.model, LENGTH, &sequence, &loss));
        sum += loss;
    }
    double tolerance = (IS_DOUBLE ? 1e-10 : 1e-5) * sum / counted;
    assert_near(test_rig_train(&rig), sum / counted, tolerance, keys);
    test_rig_close(&rig);
}

/* Chunks of many blocks, of a block and a part, of parts. */
static void test_reference(void **keys)
{
    const int chunks[] = {256, 128, 64, 16};
    for (int i = 0; i < 4; i++) check_reference(*keys, chunks[i]);
}

static void test_steps(void **keys)
{
    test_rig rig;
    rw_recurrent *recurrent;
    rw_loss loss;
    open_rig(*keys, 32, &rig);
    real *rows = test_alloc(SEQUENCES * LENGTH, sizeof(real));
    rw_engine_evaluate(rig.engine, &rig.batch, rows, &loss);
    test_ok(rw_recurrent_new(rig.model, rig.batch.rows, &recurrent));
    rw_sequence data = test_batch_sequence(&rig.batch, 0);
    for (long t = 0; t < LENGTH; t++) {
        real scores[TEST_FEATURES];
        double square = 0;
        const real *target = data.target_features + t * TEST_FEATURES;
        rw_recurrent_step(recurrent, data.tokens[t], NULL, scores);
        for (int f = 0; f < TEST_FEATURES; f++) square += pow((double)scores[f] - target[f], 2);
        if (!isnan(target[0]))
            assert_near(square / TEST_FEATURES, rows[t],
                        (IS_DOUBLE ? 1e-9 : 1e-4) * (1 + fabs((double)rows[t])), *keys);
    }
    rw_recurrent_destroy(&recurrent);
    rw_free(&rows);
    test_rig_close(&rig);
}

/* d loss / d weight, by central differences of fourth order. The step is small
 * beside the embedding's weights, which a norm divides by their size. */
static double difference_at(test_rig *rig, size_t place, double h)
{
    double f[4];
    real *w = rig->model->weights + place, kept = *w;
    for (int i = 0; i < 4; i++) {
        *w = kept + (real)(h * (i < 2 ? i - 2 : i - 1));
        f[i] = test_rig_train(rig);
    }
    *w = kept;
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
}

/* In double: a few elements of each parameter, over two chunks and a part. */
static void test_gradient(void **keys)
{
    test_rig rig;
    open_rig(*keys, 64, &rig);
    test_rig_train(&rig);
    size_t reals = rw_graph_weights(rig.model->graph);
    real *gradient = test_alloc(reals, sizeof(real));
    memcpy(gradient, rig.model->gradient, reals * sizeof(real));
    for (int i = 0; i < rw_graph_params(rig.model->graph); i++) {
        const rw_param *param = rw_graph_param_at(rig.model->graph, i);
        long count = param->rows * param->cols, stride = count < 4 ? 1 : count / 4;
        double largest = 0;
        for (long k = 0; k < count; k++)
            largest = fmax(largest, fabs((double)gradient[param->offset + (size_t)k]));
        for (long k = stride / 2; k < count; k += stride) {
            size_t place = param->offset + (size_t)k;
            assert_near(gradient[place], difference_at(&rig, place, 2e-5),
                        1e-6 * fmax(largest, 1e-4), param->name);
        }
    }
    rw_free(&gradient);
    test_rig_close(&rig);
}

/* A configuration that cannot be is refused with the key's name. */
static void check_refused(const char *keys, const char *key)
{
    rw_model *model;
    rw_clear_message();
    assert_int_equal(model_new(keys, 16, &model), RW_USAGE);
    assert_null(model);
    if (!strstr(rw_message(), key)) fail_msg("no word of %s: %s", key, rw_message());
}

static void test_refused(void **unused)
{
    (void)unused;
    check_refused("feature_map: taylor", "set decay: none or decay: head");
    check_refused("feature_map: elu, decay: channel", "set decay: none or decay: head");
    check_refused("conv: 1", "conv");
    check_refused("heads: 3", "divide");
    check_refused("feature_map: taylor, decay: none, key_width: 64", "key_width");
    check_refused("heads: 16, value_width: 1", "key_width");
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[3 * COMBINATIONS + 1];
    int n = 0;
    MPI_Init(&argc, &argv);
    for (int i = 0; i < COMBINATIONS; i++) {
        void *keys = (void *)(uintptr_t)combinations[i];
        tests[n++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_reference, keys);
        tests[n++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_steps, keys);
        if (IS_DOUBLE)
            tests[n++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_gradient, keys);
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_refused);
    int failed = _cmocka_run_group_tests("linear_attention", tests, (size_t)n, NULL, NULL);
    MPI_Finalize();
    return failed;
}
