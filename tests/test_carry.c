/* Carry from step to step: windows of a long sequence, taken one a step, give
 * the losses that the sequence has at once; what is not to be carried is not; and
 * how a step is carried out changes no bit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <string.h>

#include "base/memory.h"
#include "testing.h"

enum { CHUNK = 8, SEQUENCES = 3, STEPS = 3 };

static rw_plan_options options_of(long length)
{
    return (rw_plan_options){.chunk = CHUNK,
                             .length = length,
                             .batch = SEQUENCES,
                             .accumulate = 1,
                             .training = true,
                             .carry = true};
}

/* Opens the subject with carry, and in place of the rig's own batch nothing. */
static void open_carrying(const test_subject *subject, const rw_plan_options *options, int threads,
                          test_rig *rig)
{
    test_skip_unless_carries(subject);
    test_rig_open(subject, options, threads, rig);
    test_batch_free(&rig->batch);
}

/* A step on rows [step * length ...) of the long sequences. */
static rw_loss train_window(test_rig *rig, const rw_batch *whole, long length, long step, bool cut)
{
    rw_loss loss;
    test_batch_part(whole, (rw_range){0, SEQUENCES}, (rw_range){step * length, (step + 1) * length},
                    &rig->batch);
    rig->batch.position = step * length;
    if (cut && !rig->batch.starts) rig->batch.starts = test_alloc((size_t)(SEQUENCES * length), 1);
    for (long b = 0; cut && b < SEQUENCES; b++) rig->batch.starts[b * length] = 1;
    rw_engine_train(rig->engine, &rig->batch, 1, (uint64_t)step, &loss);
    test_batch_free(&rig->batch);
    return loss;
}

/* ---- What the losses are ------------------------------------------------------ */

/* The losses of all rows of the long sequences, (SEQUENCES, length); the caller
 * frees them. */
static real *losses_at_once(const test_subject *subject, const rw_batch *whole)
{
    rw_plan_options options = options_of(whole->rows);
    real *rows = test_alloc((size_t)(SEQUENCES * whole->rows), sizeof *rows);
    rw_loss loss;
    test_rig rig;
    options.carry = options.training = false;
    test_rig_open(subject, &options, 1, &rig);
    rw_engine_evaluate(rig.engine, whole, rows, &loss);
    test_rig_close(&rig);
    return rows;
}

static double mean_of_window(const real *rows, long all, long length, long step, double counted)
{
    double sum = 0;
    for (long b = 0; b < SEQUENCES; b++)
        for (long t = step * length; t < (step + 1) * length; t++) sum += (double)rows[b * all + t];
    return sum / counted;
}

extern const rw_op rw_op_long_convolution;

/* Steps that see all that is before them: an op that hands on rows sees those of one
 * window before, which is all as far as the second; a filter as long as the window
 * has lags for its own rows alone (see test_long_convolution). */
static long steps_that_see_all(const test_subject *subject, long length)
{
    rw_model *model;
    bool all = true, lags = true;
    test_ok(test_model_new(subject, CHUNK, &model));
    for (int i = 0; i < rw_graph_nodes(model->graph); i++) {
        const rw_node *node = rw_graph_node(model->graph, i);
        lags = lags && node->op != &rw_op_long_convolution;
        if (node->op->global && node->op->global->past_rows)
            all = all && node->op->global->past_rows(node, STEPS * length) <= length;
    }
    rw_model_destroy(&model);
    return all ? STEPS : lags ? 2 : 1;
}

static void check_windows_of(const test_subject *subject, long length, bool documents)
{
    const long steps = steps_that_see_all(subject, length);
    const double tolerance = sizeof(real) == 8 ? 1e-10 : 1e-4;
    rw_plan_options options = options_of(length);
    rw_batch whole;
    test_rig rig;
    test_batch_new(SEQUENCES, STEPS * length, &whole);
    if (documents) test_batch_add_documents(&whole);
    real *rows = losses_at_once(subject, &whole);
    open_carrying(subject, &options, 2, &rig);
    for (long step = 0; step < steps; step++) {
        rw_loss loss = train_window(&rig, &whole, length, step, false);
        double wanted = mean_of_window(rows, whole.rows, length, step, loss.counted);
        if (!(fabs(loss.loss - wanted) <= tolerance * fabs(wanted)))
            fail_msg("window %ld of %ld tokens: loss %.12g, at once %.12g", step, length, loss.loss,
                     wanted);
        rw_engine_carry_on(rig.engine);
    }
    test_rig_close(&rig);
    rw_free(&rows);
    test_batch_free(&whole);
}

/* Dropout falls on other rows in another window. */
static bool is_random(const test_subject *subject)
{
    rw_model *model;
    bool random = false;
    test_ok(test_model_new(subject, CHUNK, &model));
    for (int i = 0; i < rw_graph_nodes(model->graph); i++)
        random = random || strcmp(rw_graph_node(model->graph, i)->op->name, "dropout") == 0;
    rw_model_destroy(&model);
    return random;
}

/* One chunk; as many as fill a tree; one more. */
static void check_windows(const test_subject *subject)
{
    if (is_random(subject)) skip();
    test_skip_unless_carries(subject);
    check_windows_of(subject, CHUNK, false);
    check_windows_of(subject, 4 * CHUNK, false);
    check_windows_of(subject, 5 * CHUNK, false);
    check_windows_of(subject, 4 * CHUNK, true);
}

static void find_mixer(const char *name, test_subject *out)
{
    for (int i = 0; rw_mixer_registry[i]; i++)
        if (strcmp(rw_mixer_registry[i]->name, name) == 0)
            *out = (test_subject){.mixer = rw_mixer_registry[i]};
    assert_non_null(out->mixer);
}

/* Attention without a window sees one window back, and no further: the last of three
 * has the losses that it has behind the second alone. */
static void test_one_window_back(void **unused)
{
    enum { LENGTH = 3 * CHUNK };
    const double tolerance = sizeof(real) == 8 ? 1e-10 : 1e-4;
    rw_plan_options options = options_of(LENGTH);
    test_subject subject = {0};
    rw_batch whole, two;
    rw_loss loss = {0};
    test_rig rig;
    (void)unused;
    find_mixer("attention", &subject);
    test_batch_new(SEQUENCES, STEPS * LENGTH, &whole);
    test_batch_part(&whole, (rw_range){0, SEQUENCES},
                    (rw_range){(STEPS - 2) * LENGTH, STEPS * LENGTH}, &two);
    real *rows = losses_at_once(&subject, &two);
    open_carrying(&subject, &options, 1, &rig);
    for (long step = 0; step < STEPS; step++) {
        loss = train_window(&rig, &whole, LENGTH, step, false);
        rw_engine_carry_on(rig.engine);
    }
    double wanted = mean_of_window(rows, 2 * LENGTH, LENGTH, 1, loss.counted);
    assert_true(fabs(loss.loss - wanted) <= tolerance * fabs(wanted));
    test_rig_close(&rig);
    rw_free(&rows);
    test_batch_free(&two);
    test_batch_free(&whole);
}

/* A document that begins with the window sees nothing of the one before. */
static void check_document_cuts(const test_subject *subject)
{
    enum { LENGTH = 3 * CHUNK };
    const double tolerance = sizeof(real) == 8 ? 1e-12 : 1e-6;
    rw_plan_options options = options_of(LENGTH);
    rw_batch whole;
    test_rig rig;
    open_carrying(subject, &options, 1, &rig);
    test_batch_new(SEQUENCES, 2 * LENGTH, &whole);
    double alone = train_window(&rig, &whole, LENGTH, 1, false).loss;
    train_window(&rig, &whole, LENGTH, 0, false);
    rw_engine_carry_on(rig.engine);
    double after = train_window(&rig, &whole, LENGTH, 1, true).loss;
    if (!(fabs(alone - after) <= tolerance * fabs(alone)))
        fail_msg("loss %.12g behind another document, %.12g alone", after, alone);
    test_batch_free(&whole);
    test_rig_close(&rig);
}

/* ---- What a step leaves ------------------------------------------------------- */

/* Loss and gradient of the last of some steps, and the states after it. */
typedef struct {
    double loss;
    size_t reals, states;
    real *gradient, *state;
} outcome;

static void note(test_rig *rig, double loss, outcome *out)
{
    const rw_carried *carried;
    int count = rw_engine_carried(rig->engine, &carried);
    out->loss = loss;
    out->reals = rw_graph_weights(rig->model->graph);
    out->gradient = test_alloc(out->reals, sizeof(real));
    memcpy(out->gradient, rig->model->gradient, out->reals * sizeof(real));
    out->states = 0;
    for (int i = 0; i < count; i++) out->states += SEQUENCES * carried[i].state;
    out->state = test_alloc(out->states, sizeof(real));
    real *next = out->state;
    for (int i = 0; i < count; next += SEQUENCES * carried[i++].state)
        memcpy(next, carried[i].data, SEQUENCES * carried[i].state * sizeof(real));
}

/* Frees both. */
static void assert_same_bits(outcome *got, outcome *wanted)
{
    assert_true(isfinite(wanted->loss));
    assert_memory_equal(&got->loss, &wanted->loss, sizeof got->loss);
    assert_memory_equal(got->gradient, wanted->gradient, got->reals * sizeof(real));
    assert_int_equal(got->states, wanted->states);
    assert_memory_equal(got->state, wanted->state, got->states * sizeof(real));
    rw_free(&got->gradient), rw_free(&got->state);
    rw_free(&wanted->gradient), rw_free(&wanted->state);
}

/* Some steps on end. `disturbed`: with what must not matter in between. */
static outcome train_steps(const test_subject *subject, rw_plan_options options, int threads,
                           bool disturbed)
{
    rw_batch whole;
    rw_loss loss = {0};
    outcome out;
    test_rig rig;
    open_carrying(subject, &options, threads, &rig);
    test_batch_new(SEQUENCES, STEPS * options.length, &whole);
    for (long step = 0; step < STEPS; step++) {
        if (disturbed) { /* a step that is dropped, and an evaluation */
            train_window(&rig, &whole, options.length, 0, false);
            test_batch_part(&whole, (rw_range){0, SEQUENCES}, (rw_range){0, options.length},
                            &rig.batch);
            rw_engine_evaluate(rig.engine, &rig.batch, NULL, &loss);
            test_batch_free(&rig.batch);
        }
        loss = train_window(&rig, &whole, options.length, step, false);
        rw_engine_carry_on(rig.engine);
    }
    note(&rig, loss.loss, &out);
    test_batch_free(&whole);
    test_rig_close(&rig);
    return out;
}

static void check_manner(const test_subject *subject, rw_plan_options options, int threads,
                         bool disturbed)
{
    outcome wanted = train_steps(subject, options_of(options.length), 1, false);
    outcome got = train_steps(subject, options, threads, disturbed);
    assert_same_bits(&got, &wanted);
}

static void check_execution(const test_subject *subject)
{
    rw_plan_options options = options_of(3 * CHUNK);
    options.accumulate = 2;
    check_manner(subject, options, 1, false);
    options.recompute = RW_RECOMPUTE_BLOCK;
    check_manner(subject, options, 2, false);
    options.accumulate = 1;
    options.recompute = RW_RECOMPUTE_CHUNK;
    check_manner(subject, options, 3, false);
}

static void check_nothing_else_matters(const test_subject *subject)
{
    check_manner(subject, options_of(3 * CHUNK), 1, true);
}

/* ---- What cannot be carried on ------------------------------------------------- */

static void refuse(const test_subject *subject, long length, const char *why)
{
    rw_plan_options options = options_of(length);
    rw_layout layout;
    rw_model *model;
    rw_engine *engine;
    test_ok(rw_layout_alone(1, &layout));
    test_ok(test_model_new(subject, CHUNK, &model));
    rw_clear_message();
    assert_int_equal(rw_engine_new(model, &layout, &options, &engine), RW_USAGE);
    assert_null(engine);
    assert_non_null(strstr(rw_message(), "data.carry"));
    if (!strstr(rw_message(), why)) fail_msg("no word of %s: %s", why, rw_message());
    rw_clear_message();
    rw_model_destroy(&model);
    rw_layout_free(&layout);
}

static void test_refusals(void **unused)
{
    test_subject subjects[64];
    int count = test_subjects(TEST_OPS, subjects, 64);
    (void)unused;
    refuse(&subjects[0], 5 * CHUNK + 1, "multiple of model.chunk");
    for (int i = 0; i < count; i++)
        if (!test_op_carries(subjects[i].op))
            refuse(&subjects[i], 5 * CHUNK,
                   subjects[i].op->sees_ahead ? "bidirectional" : "does not hand on");
}

int main(int argc, char **argv)
{
    const test_property properties[] = {
        {"windows give the losses of the whole", check_windows},
        {"a document cuts", check_document_cuts},
        {"micro-batches, recomputation, threads: same bits", check_execution},
        {"a dropped step and an evaluation leave nothing", check_nothing_else_matters},
    };
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_window_back),
                                       cmocka_unit_test(test_refusals)};
    MPI_Init(&argc, &argv);
    int failed =
        test_run_properties("carry", properties, (int)(sizeof properties / sizeof *properties),
                            TEST_OPS | TEST_MIXERS | TEST_CARRYING);
    failed +=
        cmocka_run_group_tests_name("what is carried, and what is refused", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
