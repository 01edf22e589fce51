/* The convolution mixer with keys other than the defaults, which the tests of
 * everything registered have: engine and steps against the reference. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <stdio.h>

#include "base/memory.h"
#include "model/recurrent.h"
#include "model/reference.h"
#include "testing.h"

enum { LENGTH = 70, SEQUENCES = 2, CHUNK = 16 };

static const rw_format format = {.vocab = TEST_VOCAB, .target_features = TEST_FEATURES};

static const char *const combinations[] = {
    "taps: 2, dilation: 40",
    "taps: 5, depthwise: false, dilation: 3",
    "gate: false, activation: gelu",
    "taps: 4, depthwise: false, gate: false, activation: none, dilation: 16",
    "dilation: 1000",
};
enum { COMBINATIONS = sizeof combinations / sizeof *combinations };

static rw_status model_new(const char *keys, rw_model **out)
{
    char text[256];
    rw_config *config = NULL;
    snprintf(text, sizeof text, "{width: 16, chunk: %d, blocks: [{mixer: conv, %s}]}", CHUNK, keys);
    *out = NULL;
    RW_TRY(rw_config_parse(text, "a test", NULL, 0, &config));
    rw_status status = rw_model_new(config, &format, 3, true, out);
    rw_config_destroy(&config);
    return status;
}

static void open_rig(const char *keys, test_rig *out)
{
    rw_plan_options options = {
        .chunk = CHUNK, .length = LENGTH, .batch = SEQUENCES, .accumulate = 1, .training = true};
    test_ok(rw_layout_alone(1, &out->layout));
    test_ok(model_new(keys, &out->model));
    test_ok(rw_engine_new(out->model, &out->layout, &options, &out->engine));
    test_batch_new(SEQUENCES, LENGTH, &out->batch);
}

static void assert_near(double value, double wanted, double tolerance, const char *what)
{
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%s: %.12g is not %.12g (allowed %.3g)", what, value, wanted, tolerance);
}

static void test_reference(void **keys)
{
    double sum = 0;
    test_rig rig;
    open_rig(*keys, &rig);
    for (long b = 0; b < SEQUENCES; b++) {
        double loss;
        rw_sequence sequence = test_batch_sequence(&rig.batch, b);
        test_ok(rw_reference_loss(rig.model, LENGTH, &sequence, &loss));
        sum += loss;
    }
    sum /= (double)rig.batch.counted;
    assert_near(test_rig_train(&rig), sum, 1e-5 * sum, *keys);
    test_rig_close(&rig);
}

/* Also where the ring of step is larger than the horizon, and where it wraps. */
static void test_steps(void **keys)
{
    test_rig rig;
    rw_recurrent *recurrent;
    rw_loss loss;
    open_rig(*keys, &rig);
    real *rows = test_alloc(SEQUENCES * LENGTH, sizeof(real));
    rw_engine_evaluate(rig.engine, &rig.batch, rows, &loss);
    test_ok(rw_recurrent_new(rig.model, LENGTH, &recurrent));
    rw_sequence data = test_batch_sequence(&rig.batch, 0);
    for (long t = 0; t < LENGTH; t++) {
        real scores[TEST_FEATURES];
        double square = 0;
        const real *target = data.target_features + t * TEST_FEATURES;
        rw_recurrent_step(recurrent, data.tokens[t], NULL, scores);
        for (int f = 0; f < TEST_FEATURES; f++) square += pow((double)scores[f] - target[f], 2);
        if (!isnan(target[0]))
            assert_near(square / TEST_FEATURES, rows[t], 1e-4 * (1 + fabs((double)rows[t])), *keys);
    }
    rw_recurrent_destroy(&recurrent);
    rw_free(&rows);
    test_rig_close(&rig);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[2 * COMBINATIONS];
    int n = 0;
    MPI_Init(&argc, &argv);
    for (int i = 0; i < COMBINATIONS; i++) {
        void *keys = (void *)(uintptr_t)combinations[i];
        tests[n++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_reference, keys);
        tests[n++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_steps, keys);
    }
    int failed = _cmocka_run_group_tests("conv", tests, (size_t)n, NULL, NULL);
    MPI_Finalize();
    return failed;
}
