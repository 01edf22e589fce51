/* train.precision: auto. What is chosen for which rates; that a choice replaces `auto`; that the
 * trial, on the ranks that this program is started with, gives all of them the same figures,
 * works with every mixer, and leaves weights and memory as they were. Time decides nothing here:
 * whatever the figures are, these properties hold. */
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
#include "mixers/mixer.h"
#include "mpi_testing.h"
#include "train/precision_trial.h"

/* ---- The choice ---------------------------------------------------------------- */

static void test_choice(void **unused)
{
    static const struct {
        double float32, bf16;
        rw_precision choice;
    } cases[] = {
        {1000, 2000, RW_PRECISION_BF16},    {1000, 1101, RW_PRECISION_BF16},
        {1000, 1099, RW_PRECISION_FLOAT32}, {1000, 1000, RW_PRECISION_FLOAT32},
        {1000, 10, RW_PRECISION_FLOAT32},   {1e-9, 2e-9, RW_PRECISION_BF16},
        {0, 1000, RW_PRECISION_FLOAT32},    {1000, 0, RW_PRECISION_FLOAT32},
        {-1, 1000, RW_PRECISION_FLOAT32},   {NAN, 1000, RW_PRECISION_FLOAT32},
        {1000, NAN, RW_PRECISION_FLOAT32},  {1000, INFINITY, RW_PRECISION_FLOAT32},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(rw_precision_choose(cases[i].float32, cases[i].bf16), cases[i].choice);
}

/* ---- Settings ------------------------------------------------------------------- */

static void parse(const char *precision, rw_settings *out)
{
    char text[256];
    snprintf(text, sizeof text,
             "{model: {blocks: []}, data: {task: {name: mqar}, length: 16, batch: 1}, optimizer: "
             "{name: adamw}, train: {precision: %s}}",
             precision);
    assert_int_equal(rw_settings_parse(text, "a test", NULL, 0, out), RW_OK);
}

static void test_named_precisions_are_settled(void **unused)
{
    (void)unused;
    for (int p = RW_PRECISION_FLOAT32; p <= RW_PRECISION_BF16_EMULATED; p++) {
        rw_settings s;
        parse(rw_precision_name((rw_precision)p), &s);
        assert_int_equal(s.precision, p);
        assert_false(s.precision_open);
        rw_settings_free(&s);
    }
}

/* What a run writes into its folder and its checkpoints names the choice, and reads back as it. */
static void test_choice_replaces_auto(void **unused)
{
    (void)unused;
    for (int p = RW_PRECISION_FLOAT32; p <= RW_PRECISION_BF16_EMULATED; p++) {
        rw_settings s, again;
        char *text = NULL;
        parse("auto", &s);
        assert_true(s.precision_open);
        assert_int_equal(s.precision, RW_PRECISION_FLOAT32);
        assert_int_equal(rw_settings_set_precision(&s, (rw_precision)p), RW_OK);
        assert_false(s.precision_open);
        assert_int_equal(rw_config_write(s.root, &text), RW_OK);
        assert_int_equal(rw_settings_parse(text, "a test", NULL, 0, &again), RW_OK);
        assert_int_equal(again.precision, p);
        assert_false(again.precision_open);
        rw_free(&text);
        rw_settings_free(&again);
        rw_settings_free(&s);
    }
}

/* ---- The trial ------------------------------------------------------------------ */

typedef struct {
    rw_settings settings;
    rw_layout layout;
    rw_source *source;
    rw_model *model;
} subject;

/* sp ranks share each of five sequences, of no whole number of chunks. */
static void open_subject(const char *mixer, int sp, subject *s)
{
    char text[512];
    snprintf(text, sizeof text,
             "{model: {width: 32, chunk: 16, blocks: [{mixer: %s}, {mlp: swiglu}]}, "
             "data: {task: {name: mqar, vocab: 32, pairs: 4}, length: 151, batch: 5}, "
             "parallel: {sp: %d, threads: 2}, train: {precision: auto, accumulate: 2}}",
             mixer, sp);
    assert_int_equal(rw_settings_parse(text, "a test", NULL, 0, &s->settings), RW_OK);
    assert_int_equal(rw_settings_layout(&s->settings, &s->layout), RW_OK);
    assert_int_equal(rw_source_open(s->settings.data, 1, &s->source), RW_OK);
    assert_int_equal(
        rw_model_new(s->settings.model, rw_source_format(s->source), 1, true, &s->model), RW_OK);
}

static void close_subject(subject *s)
{
    rw_model_destroy(&s->model);
    rw_source_close(&s->source);
    rw_layout_free(&s->layout);
    rw_settings_free(&s->settings);
}

static bool same_everywhere(double x)
{
    double least = x, most = x;
    MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_DOUBLE, MPI_MIN, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return least == most && isfinite(x) && x > 0;
}

static rw_status try(const subject *s, rw_precision_trial *out)
{
    return rw_precision_try(&s->settings, &s->layout, s->source, s->model,
                            RW_PRECISION_BF16_EMULATED, out);
}

static void check_trial(const char *mixer, int sp)
{
    subject s;
    rw_precision_trial trial = {0};
    open_subject(mixer, sp, &s);
    size_t bytes = rw_graph_weights(s.model->graph) * sizeof(real);
    real *before = test_malloc(bytes);
    memcpy(before, s.model->weights, bytes);
    /* What threads and ops keep for good they have after the first one. */
    rw_status status = try(&s, &trial);
    size_t memory = rw_memory_in_use();
    if (status == RW_OK) status = try(&s, &trial);
    mpi_test_all(status == RW_OK, "%s, sp %d: %s", mixer, sp, rw_message());
    mpi_test_all(same_everywhere(trial.float32_rate) && same_everywhere(trial.bf16_rate),
                 "%s, sp %d: %g and %g tokens/s", mixer, sp, trial.float32_rate, trial.bf16_rate);
    mpi_test_all(trial.tokens > 0 && trial.tokens <= 5 * 151, "%s, sp %d: %ld tokens", mixer, sp,
                 trial.tokens);
    mpi_test_all(memcmp(before, s.model->weights, bytes) == 0, "%s, sp %d: other weights", mixer,
                 sp);
    mpi_test_all(rw_memory_in_use() == memory, "%s, sp %d: memory is kept", mixer, sp);
    test_free(before);
    close_subject(&s);
}

static void test_trial_of_every_mixer(void **unused)
{
    int ranks;
    (void)unused;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (int i = 0; rw_mixer_registry[i]; i++)
        for (int sp = 1; sp <= ranks; sp *= 2) check_trial(rw_mixer_registry[i]->name, sp);
}

/* A layout that cannot train cannot be tried either: all ranks are told why. */
static void test_ranks_that_cannot_share(void **unused)
{
    subject s;
    rw_precision_trial trial;
    int ranks;
    (void)unused;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks == 1) skip();
    open_subject("ema", ranks, &s);
    s.settings.length = 16; /* one chunk */
    rw_status status = try(&s, &trial);
    mpi_test_all(status == RW_USAGE, "status %d", status);
    mpi_test_all(strstr(rw_message(), "share a sequence of only 1 chunks"), "%s", rw_message());
    rw_clear_message();
    close_subject(&s);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_named_precisions_are_settled),
        cmocka_unit_test(test_choice_replaces_auto),
        cmocka_unit_test(test_trial_of_every_mixer),
        cmocka_unit_test(test_ranks_that_cannot_share),
    };
    int failed = cmocka_run_group_tests_name("precision", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
