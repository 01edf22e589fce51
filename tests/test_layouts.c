/* The result does not depend on the layout, bit for bit: loss, gradients and,
 * after a few optimizer steps (the first without, the others with documents
 * that begin anywhere), weights, on every dp x sp of the ranks that this
 * program is started with. What is expected each rank computes by itself. */
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
#include "mpi/shards.h"
#include "mpi_testing.h"
#include "testing.h"

/* Lengths and batches that nothing divides: 19 chunks of which the last is
 * short, 5 sequences. */
enum { CHUNK = 32, LENGTH = 600, BATCH = 5, STEPS = 3, SEED = 9 };

/* What is carried from step to step ends with a whole chunk. */
static long length(bool carry)
{
    long most = test_is_fast() ? 170 : LENGTH;
    return carry ? most / CHUNK * CHUNK : most;
}

/* How a step is cut up, besides the layout. */
typedef struct {
    int threads, accumulate;
    rw_recompute recompute;
    bool sharded; /* each rank updates its shard of the weights */
    bool carry;   /* steps go on where the one before ended */
    rw_precision precision;
} manner;

/* All that must not depend on the layout. */
typedef struct {
    long length;
    size_t reals;
    double loss[STEPS], evaluated, correct;
    real *gradient; /* (STEPS, reals) */
    real *weights;  /* (reals), after the steps */
    real *row_loss; /* (sequences, rows) of the rank, at the end */
    rw_range sequences, rows;
} outcome;

static void drop(outcome *o)
{
    rw_free(&o->gradient);
    rw_free(&o->weights);
    rw_free(&o->row_loss);
}

/* ---- Training ---------------------------------------------------------------- */

/* shards: the layout among whose ranks the update is divided, or NULL. */
static void run_steps(rw_model *model, rw_engine *engine, const rw_batch *documents,
                      rw_updater *updater, const rw_layout *shards, outcome *out)
{
    rw_loss loss;
    for (uint64_t step = 0; step < STEPS; step++) {
        rw_batch batch = *documents;
        if (step == 0) batch.starts = NULL;
        rw_engine_train(engine, &batch, SEED, step, &loss);
        out->loss[step] = loss.loss;
        memcpy(out->gradient + step * out->reals, model->gradient, out->reals * sizeof(real));
        rw_updater_step(updater, step, 0.01, rw_updater_norm(updater));
        rw_engine_carry_on(engine);
        if (shards) rw_shards_all_gather(shards, out->reals, model->weights);
    }
    memcpy(out->weights, model->weights, out->reals * sizeof(real));
    rw_engine_evaluate(engine, documents, out->row_loss, &loss);
    out->evaluated = loss.loss;
    out->correct = loss.correct;
}

/* Collective over the layout. */
static void train(const test_subject *subject, const rw_optimizer *optimizer,
                  const rw_layout *layout, manner how, outcome *out)
{
    out->length = length(how.carry);
    rw_plan_options options = {.chunk = CHUNK,
                               .length = out->length,
                               .batch = BATCH,
                               .accumulate = how.accumulate,
                               .training = true,
                               .recompute = how.recompute,
                               .carry = how.carry,
                               .precision = how.precision};
    rw_model *model;
    rw_engine *engine;
    rw_updater *updater;
    rw_batch whole, batch;
    test_ok(test_model_new(subject, CHUNK, &model));
    test_ok(rw_engine_new(model, layout, &options, &engine));
    const rw_layout *shards = how.sharded ? layout : NULL;
    test_updater_new(model, optimizer, "clip: 0.5, noise: 1.0e-6", shards, &updater);
    test_batch_new(BATCH, out->length, &whole);
    test_batch_add_documents(&whole);
    out->sequences = rw_engine_sequences(engine);
    out->rows = rw_engine_rows(engine);
    test_batch_part(&whole, out->sequences, out->rows, &batch);
    out->reals = rw_graph_weights(model->graph);
    out->gradient = test_alloc(STEPS * out->reals, sizeof(real));
    out->weights = test_alloc(out->reals, sizeof(real));
    out->row_loss = test_alloc((size_t)(batch.sequences * batch.rows), sizeof(real));
    run_steps(model, engine, &batch, updater, shards, out);
    test_batch_free(&whole);
    test_batch_free(&batch);
    rw_updater_destroy(&updater);
    rw_engine_destroy(&engine);
    rw_model_destroy(&model);
}

/* ---- Comparison -------------------------------------------------------------- */

static bool same_rows(const outcome *part, const outcome *whole)
{
    size_t rows = (size_t)(part->rows.end - part->rows.begin);
    const real *mine = part->row_loss;
    for (long b = part->sequences.begin; b < part->sequences.end; b++, mine += rows)
        if (memcmp(mine, whole->row_loss + b * whole->length + part->rows.begin,
                   rows * sizeof(real)))
            return false;
    return true;
}

static void compare(const outcome *got, const outcome *wanted, const char *where)
{
    size_t bytes = wanted->reals * sizeof(real);
    mpi_test_all(isfinite(wanted->evaluated), "%s: the loss is not finite", where);
    for (size_t step = 0; step < STEPS; step++) {
        mpi_test_all(memcmp(&got->loss[step], &wanted->loss[step], sizeof(double)) == 0,
                     "%s: loss of step %zu", where, step);
        mpi_test_all(memcmp(got->gradient + step * got->reals,
                            wanted->gradient + step * wanted->reals, bytes) == 0,
                     "%s: gradient of step %zu", where, step);
    }
    mpi_test_all(memcmp(got->weights, wanted->weights, bytes) == 0, "%s: weights", where);
    mpi_test_all(memcmp(&got->evaluated, &wanted->evaluated, sizeof(double)) == 0,
                 "%s: evaluated loss", where);
    mpi_test_all(got->correct == wanted->correct, "%s: rows predicted right", where);
    mpi_test_all(same_rows(got, wanted), "%s: losses of rows", where);
}

static void check_layout(const test_subject *subject, const rw_optimizer *optimizer, manner plain,
                         int dp, int sp, const outcome *wanted)
{
    const bool carry = plain.carry;
    const rw_precision precision = plain.precision;
    const manner manners[] = {{1, 1, RW_RECOMPUTE_NONE, true, carry, precision},
                              {2, 1, RW_RECOMPUTE_CHUNK, false, carry, precision},
                              {2, 2, RW_RECOMPUTE_BLOCK, true, carry, precision}};
    for (size_t i = 0; i < sizeof manners / sizeof *manners; i++) {
        char where[96];
        rw_layout layout;
        outcome got;
        snprintf(where, sizeof where, "%d x %d ranks, %d threads%s%s%s", dp, sp, manners[i].threads,
                 manners[i].recompute ? ", recomputation" : "",
                 manners[i].sharded ? ", sharded" : "", carry ? ", carry" : "");
        test_ok(rw_layout_new(dp, sp, manners[i].threads, &layout));
        train(subject, optimizer, &layout, manners[i], &got);
        compare(&got, wanted, where);
        drop(&got);
        rw_layout_free(&layout);
    }
}

/* plain: one thread, and nothing to save memory. */
static void check_layouts(const test_subject *subject, const rw_optimizer *optimizer, manner plain)
{
    int size;
    rw_layout alone;
    outcome wanted;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    test_ok(rw_layout_alone(1, &alone));
    train(subject, optimizer, &alone, plain, &wanted);
    rw_layout_free(&alone);
    for (int dp = 1; dp <= size; dp++)
        if (size % dp == 0) check_layout(subject, optimizer, plain, dp, size / dp, &wanted);
    drop(&wanted);
}

static void check_default_optimizer(const test_subject *subject)
{
    check_layouts(subject, rw_optimizer_registry[0], (manner){.threads = 1, .accumulate = 1});
}

static void check_carry(const test_subject *subject)
{
    test_skip_unless_carries(subject);
    check_layouts(subject, rw_optimizer_registry[0],
                  (manner){.threads = 1, .accumulate = 1, .carry = true});
}

/* ---- Optimizers -------------------------------------------------------------- */

static void test_every_optimizer(void **unused)
{
    test_subject hybrid[4];
    (void)unused;
    test_subjects(TEST_HYBRIDS, hybrid, 4);
    for (int i = 1; rw_optimizer_registry[i]; i++)
        check_layouts(&hybrid[0], rw_optimizer_registry[i],
                      (manner){.threads = 1, .accumulate = 1});
}

static void test_rounded_products(void **unused)
{
    test_subject hybrid;
    (void)unused;
    test_subjects(TEST_HYBRIDS, &hybrid, 1);
    check_layouts(&hybrid, rw_optimizer_registry[0],
                  (manner){.threads = 1, .accumulate = 1, .precision = RW_PRECISION_BF16_EMULATED});
}

/* More ranks than there is work for is an error that says so, on every rank. */
static void test_too_many_ranks(void **unused)
{
    int size;
    rw_layout layout;
    rw_model *model;
    rw_engine *engine;
    test_subject subject;
    (void)unused;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1) skip();
    test_subjects(TEST_MIXERS, &subject, 1);
    test_ok(test_model_new(&subject, CHUNK, &model));
    rw_plan_options options = {.chunk = CHUNK, .length = CHUNK, .batch = 1, .accumulate = 1};
    for (int dp = 1; dp <= size; dp += size - 1) {
        test_ok(rw_layout_new(dp, size / dp, 1, &layout));
        rw_clear_message();
        rw_status status = rw_engine_new(model, &layout, &options, &engine);
        mpi_test_all(status == RW_USAGE && !engine, "an engine for %d x %d ranks", dp, size / dp);
        mpi_test_all(strstr(rw_message(), dp == 1 ? "--sp" : "--dp") != NULL, "message: %s",
                     rw_message());
        rw_layout_free(&layout);
    }
    rw_clear_message();
    rw_model_destroy(&model);
}

int main(int argc, char **argv)
{
    const test_property properties[] = {
        {"same bits on every layout", check_default_optimizer},
    };
    const test_property carried[] = {
        {"same bits with a carry from step to step", check_carry},
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_optimizer),
        cmocka_unit_test(test_rounded_products),
        cmocka_unit_test(test_too_many_ranks),
    };
    mpi_test_begin(&argc, &argv);
    int failed = test_run_properties("layouts", properties, 1, TEST_MIXERS | TEST_HYBRIDS);
    failed += test_run_properties("carried", carried, 1, TEST_MIXERS | TEST_CARRYING);
    failed +=
        cmocka_run_group_tests_name("layouts of optimizers and precisions", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
