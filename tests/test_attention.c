/* The attention mixer: every exchange between ranks gives the bits of one rank alone,
 * with heads that the ranks do not divide, rows that differ from rank to rank, windows
 * and documents; and one rank alone gives what the definition says. */
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
#include "mpi_testing.h"
#include "testing.h"

enum { SEQUENCES = 3, SEED = 4 };

static const rw_format format = {.vocab = TEST_VOCAB, .target_features = TEST_FEATURES};

typedef struct {
    const char *keys;
    int chunk;
    long length;
    bool documents;
} problem;

/* Blocks of chunks (32), chunks of blocks (256); the last one short. */
static const problem problems[] = {
    {"heads: 3", 32, 300, false},
    {"heads: 3, rope: false", 32, 300, true},
    {"heads: 6, kv_heads: 3, head_width: 4", 32, 290, true},
    {"heads: 4, kv_heads: 1, head_width: 6", 32, 257, false},
    {"heads: 4, window: 1, rope: false", 32, 257, false},
    {"heads: 4, kv_heads: 2, head_width: 6, window: 40", 32, 300, true},
    {"heads: 2, window: 200", 32, 300, false},
    {"heads: 2, head_width: 6", 256, 1100, true},
    {"heads: 2, head_width: 6, window: 300", 256, 1100, false},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

static const char *const ways[] = {
    "exchange: auto", "exchange: heads", "exchange: ring",
    "exchange: ring, ring_memory: 0", /* head by head */
};
enum { WAYS = sizeof ways / sizeof *ways };

static rw_status model_new(const problem *p, const char *way, rw_model **out)
{
    char text[512];
    rw_config *config = NULL;
    snprintf(text, sizeof text, "{width: 12, chunk: %d, blocks: [{mixer: attention, %s, %s}]}",
             p->chunk, p->keys, way);
    *out = NULL;
    RW_TRY(rw_config_parse(text, "a test", NULL, 0, &config));
    rw_status status = rw_model_new(config, &format, SEED, true, out);
    rw_config_destroy(&config);
    return status;
}

/* Documents begin anywhere, in each sequence elsewhere; the first one has none. */
static bool document_at(long sequence, long row)
{
    return row == 0 || (sequence > 0 && (row * 7 + sequence) % 61 == 0);
}

static void mark(const problem *p, rw_range sequences, rw_range rows, rw_batch *batch)
{
    uint8_t *next = test_alloc((size_t)(batch->sequences * batch->rows), 1);
    if (p->documents) batch->starts = next;
    for (long b = sequences.begin; b < sequences.end; b++)
        for (long r = rows.begin; r < rows.end; r++) *next++ = document_at(b, r);
    if (!p->documents) {
        next -= batch->sequences * batch->rows;
        rw_free(&next);
    }
}

/* ---- Bits on any layout ----------------------------------------------------------- */

typedef struct {
    double loss;
    size_t reals;
    real *gradient;
} outcome;

/* Two steps, so that what the first one leaves behind would show. Collective. */
static outcome train(const problem *p, const char *way, const rw_layout *layout, int accumulate)
{
    const rw_plan_options options = {.chunk = p->chunk,
                                     .length = p->length,
                                     .batch = SEQUENCES,
                                     .accumulate = accumulate,
                                     .training = true};
    rw_model *model;
    rw_engine *engine;
    rw_batch whole, batch;
    rw_loss loss;
    test_ok(model_new(p, way, &model));
    test_ok(rw_engine_new(model, layout, &options, &engine));
    test_batch_new(SEQUENCES, p->length, &whole);
    test_batch_part(&whole, rw_engine_sequences(engine), rw_engine_rows(engine), &batch);
    mark(p, rw_engine_sequences(engine), rw_engine_rows(engine), &batch);
    for (uint64_t step = 0; step < 2; step++) rw_engine_train(engine, &batch, SEED, step, &loss);
    outcome out = {.loss = loss.loss, .reals = rw_graph_weights(model->graph)};
    out.gradient = test_alloc(out.reals, sizeof(real));
    memcpy(out.gradient, model->gradient, out.reals * sizeof(real));
    test_batch_free(&whole);
    test_batch_free(&batch);
    rw_engine_destroy(&engine);
    rw_model_destroy(&model);
    return out;
}

static void check_way(const problem *p, const char *way, int dp, int sp, const outcome *wanted)
{
    for (int threads = 1; threads <= 2; threads++) {
        rw_layout layout;
        test_ok(rw_layout_new(dp, sp, threads, &layout));
        outcome got = train(p, way, &layout, threads);
        mpi_test_all(memcmp(&got.loss, &wanted->loss, sizeof got.loss) == 0,
                     "loss of %s, %s, %d x %d ranks", p->keys, way, dp, sp);
        mpi_test_all(memcmp(got.gradient, wanted->gradient, got.reals * sizeof(real)) == 0,
                     "gradient of %s, %s, %d x %d ranks", p->keys, way, dp, sp);
        rw_free(&got.gradient);
        rw_layout_free(&layout);
    }
}

static void test_same_bits(void **state)
{
    const problem *p = *state;
    int size;
    rw_layout alone;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    test_ok(rw_layout_alone(1, &alone));
    outcome wanted = train(p, ways[0], &alone, 1);
    mpi_test_all(isfinite(wanted.loss), "%s: the loss is not finite", p->keys);
    rw_layout_free(&alone);
    for (int dp = 1; dp <= size && dp <= SEQUENCES; dp++)
        for (int i = 0; i < WAYS && size % dp == 0; i++)
            check_way(p, ways[i], dp, size / dp, &wanted);
    rw_free(&wanted.gradient);
}

/* ---- Against the definition ------------------------------------------------------- */

static bool near(double value, double wanted, double tolerance)
{
    return fabs(value - wanted) <= tolerance * (1 + fabs(wanted));
}

static void open_alone(const problem *p, test_rig *out)
{
    const rw_plan_options options = {
        .chunk = p->chunk, .length = p->length, .batch = 1, .accumulate = 1};
    test_ok(rw_layout_alone(1, &out->layout));
    test_ok(model_new(p, ways[0], &out->model));
    test_ok(rw_engine_new(out->model, &out->layout, &options, &out->engine));
    test_batch_new(1, p->length, &out->batch);
}

static void test_reference(void **state)
{
    const problem *p = *state;
    double wanted;
    test_rig rig;
    rw_loss loss;
    open_alone(p, &rig);
    rw_sequence data = test_batch_sequence(&rig.batch, 0);
    rw_engine_evaluate(rig.engine, &rig.batch, NULL, &loss);
    test_ok(rw_reference_loss(rig.model, p->length, &data, &wanted));
    mpi_test_all(near(loss.loss, wanted / loss.counted, 1e-5), "loss %.9g of %s, not %.9g",
                 loss.loss, p->keys, wanted / loss.counted);
    test_rig_close(&rig);
}

/* A window keeps no more than its rows in generation. */
static void test_steps(void **state)
{
    const problem *p = *state;
    test_rig rig;
    rw_loss loss;
    rw_recurrent *recurrent;
    bool good = true;
    open_alone(p, &rig);
    real *rows = test_alloc((size_t)p->length, sizeof(real));
    rw_sequence data = test_batch_sequence(&rig.batch, 0);
    rw_engine_evaluate(rig.engine, &rig.batch, rows, &loss);
    test_ok(rw_recurrent_new(rig.model, p->length, &recurrent));
    for (long t = 0; t < p->length; t++) {
        const real *target = data.target_features + t * TEST_FEATURES;
        real scores[TEST_FEATURES];
        double sum = 0;
        rw_recurrent_step(recurrent, data.tokens[t], NULL, scores);
        for (int i = 0; i < TEST_FEATURES && !isnan(target[0]); i++)
            sum += pow((double)scores[i] - (double)target[i], 2) / TEST_FEATURES;
        good = good && near(sum, (double)rows[t], 1e-4);
    }
    mpi_test_all(good, "%s step by step", p->keys);
    rw_recurrent_destroy(&recurrent);
    rw_free(&rows);
    test_rig_close(&rig);
}

static void test_refusals(void **unused)
{
    const problem wrong[] = {
        {"heads: 5", 32, 300, false},
        {"heads: 4, kv_heads: 3", 32, 300, false},
        {"heads: 4, head_width: 3", 32, 300, false},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rw_model *model;
        rw_clear_message();
        mpi_test_all(model_new(&wrong[i], ways[0], &model) == RW_USAGE, "%s", wrong[i].keys);
    }
    rw_clear_message();
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[3 * PROBLEMS + 1];
    int count = 0, size;
    mpi_test_begin(&argc, &argv);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int i = 0; i < PROBLEMS; i++) {
        void *p = (void *)&problems[i];
        tests[count++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_same_bits, p);
        if (size > 1) continue;
        tests[count++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_reference, p);
        tests[count++] = (struct CMUnitTest)cmocka_unit_test_prestate(test_steps, p);
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_refusals);
    int failed = _cmocka_run_group_tests("attention", tests, (size_t)count, NULL, NULL);
    MPI_Finalize();
    return failed;
}
