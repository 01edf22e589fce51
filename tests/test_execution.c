/* How a step is carried out changes nothing of its result: micro-batches,
 * recomputation and threads give the same bits; a step allocates nothing; and
 * where memory is short, what was taken is given back. */
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
#include "testing.h"

static const rw_plan_options plain = {
    .chunk = 8, .length = 37, .batch = 5, .accumulate = 1, .training = true};

/* What a training step gives. */
typedef struct {
    double loss;
    size_t reals;
    real *gradient;
} outcome;

static outcome train_once(const test_subject *subject, rw_plan_options options, int threads)
{
    outcome out;
    test_rig rig;
    test_rig_open(subject, &options, threads, &rig);
    out.loss = test_rig_train(&rig);
    out.reals = rw_graph_weights(rig.model->graph);
    out.gradient = test_alloc(out.reals, sizeof(real));
    memcpy(out.gradient, rig.model->gradient, out.reals * sizeof(real));
    test_rig_close(&rig);
    return out;
}

static void check_same_bits(const test_subject *subject, rw_plan_options options, int threads)
{
    outcome wanted = train_once(subject, plain, 1), got = train_once(subject, options, threads);
    assert_true(isfinite(wanted.loss));
    assert_memory_equal(&got.loss, &wanted.loss, sizeof got.loss);
    assert_int_equal(got.reals, wanted.reals);
    assert_memory_equal(got.gradient, wanted.gradient, got.reals * sizeof(real));
    rw_free(&got.gradient);
    rw_free(&wanted.gradient);
}

static void check_micro_batches(const test_subject *subject)
{
    rw_plan_options options = plain;
    for (options.accumulate = 2; options.accumulate <= 3; options.accumulate++)
        check_same_bits(subject, options, 1);
}

static void check_recomputation(const test_subject *subject)
{
    rw_plan_options options = plain;
    for (options.recompute = RW_RECOMPUTE_BLOCK; options.recompute <= RW_RECOMPUTE_CHUNK;
         options.recompute++) {
        options.accumulate = 1;
        check_same_bits(subject, options, 1);
        options.accumulate = 2;
        check_same_bits(subject, options, 1);
    }
}

static void check_threads(const test_subject *subject)
{
    rw_plan_options options = plain;
    check_same_bits(subject, options, 2);
    check_same_bits(subject, options, 3);
    options.accumulate = 2;
    options.recompute = RW_RECOMPUTE_CHUNK;
    check_same_bits(subject, options, 2);
}

/* A second step has the bits of the first: nothing is left over in the arena. */
static void check_step_leaves_nothing(const test_subject *subject)
{
    test_rig rig;
    rw_loss loss;
    test_rig_open(subject, &plain, 2, &rig);
    size_t bytes = rw_graph_weights(rig.model->graph) * sizeof(real);
    real *first = test_alloc(bytes, 1);
    size_t allocations = rw_memory_allocations(), in_use = rw_memory_in_use();
    double wanted = test_rig_train(&rig);
    memcpy(first, rig.model->gradient, bytes);
    rw_engine_evaluate(rig.engine, &rig.batch, NULL, &loss);
    double again = test_rig_train(&rig);
    assert_int_equal(rw_memory_allocations(), allocations);
    assert_int_equal(rw_memory_in_use(), in_use);
    assert_memory_equal(&again, &wanted, sizeof again);
    assert_memory_equal(rig.model->gradient, first, bytes);
    rw_free(&first);
    test_rig_close(&rig);
}

/* Makes the model and its engine with the n-th allocation failing; tells
 * whether it failed. */
static bool fails_at(const test_subject *subject, const rw_layout *layout, long n)
{
    rw_model *model = NULL;
    rw_engine *engine = NULL;
    size_t in_use = rw_memory_in_use();
    rw_clear_message();
    rw_memory_fail_after(n);
    rw_status status = test_model_new(subject, plain.chunk, &model);
    if (status == RW_OK) status = rw_engine_new(model, layout, &plain, &engine);
    rw_memory_fail_after(0);
    rw_engine_destroy(&engine);
    rw_model_destroy(&model);
    if (rw_memory_in_use() != in_use)
        fail_msg("allocation %ld fails and %ld bytes are lost", n,
                 (long)(rw_memory_in_use() - in_use));
    if (status == RW_OK) return false;
    assert_int_equal(status, RW_ERROR);
    assert_non_null(strstr(rw_message(), "out of memory"));
    return true;
}

static void check_short_memory(const test_subject *subject)
{
    rw_layout layout;
    long n = 1;
    test_ok(rw_layout_alone(2, &layout));
    while (fails_at(subject, &layout, n)) n++;
    assert_true(n > 20); /* that many there are at least */
    rw_clear_message();
    rw_layout_free(&layout);
}

/* ---- Memory of recomputation --------------------------------------------------- */

typedef struct {
    rw_config *config;
    rw_model *model;
    rw_layout layout;
    rw_plan *plan;
} planned;

/* A model of bytes, planned to train on one sequence of 4096. */
static void plan_model(const char *text, rw_recompute recompute, planned *out)
{
    const rw_format bytes = {.vocab = 11, .target_vocab = 11};
    const rw_plan_options options = {.chunk = 16,
                                     .length = 4096,
                                     .batch = 1,
                                     .accumulate = 1,
                                     .training = true,
                                     .recompute = recompute};
    test_ok(rw_layout_alone(1, &out->layout));
    test_ok(rw_config_parse(text, "a test", NULL, 0, &out->config));
    test_ok(rw_model_new(out->config, &bytes, 1, true, &out->model));
    test_ok(rw_plan_new(out->model->graph, &out->layout, &options, &out->plan));
}

static void forget(planned *p)
{
    rw_plan_destroy(&p->plan);
    rw_model_destroy(&p->model);
    rw_config_destroy(&p->config);
    rw_layout_free(&p->layout);
}

/* Chunk by chunk, a token takes 4 D (N + 2) bytes for N blocks, as docs/memory.md
 * says, and the carries: of a chunk and layer the map, and the state as value,
 * part and gradient. */
static void test_memory_by_chunk(void **unused)
{
    static const char text[] = "{width: 32, chunk: 16, blocks: [{mixer: lssl, state: 4}, "
                               "{mixer: s4d, state: 4}, {mixer: ssd, state: 4, heads: 2}, "
                               "{mixer: ssd, state: 4, heads: 2}, {mlp: swiglu}]}";
    planned p;
    (void)unused;
    plan_model(text, RW_RECOMPUTE_CHUNK, &p);
    size_t carries = 0, chunks = 4096 / 16, inputs = 4096 * 32 * (5 + 2);
    for (int i = 0; i < p.plan->node_count; i++)
        if (rw_has_carry(p.plan->nodes[i].op))
            carries +=
                chunks * (p.plan->nodes[i].size.transition + 3 * p.plan->nodes[i].size.state);
    assert_true(p.plan->arena >= inputs);
    assert_true(p.plan->arena <= inputs + carries);
    forget(&p);
}

/* Without recomputation a token takes 4 bytes for each column of: the inputs of the
 * blocks and of the head, or in place of the latter another gradient; what the
 * products of each block make, less what of it is made again; one gradient of the
 * residual stream. A swiglu makes 2 H columns of x, 4 x 32 here; lstm and gru keep 5 of
 * their units, and have their input among them; the gradient of their output is another;
 * gradients inside of an s4d block lie in the place of its 3 x 32 columns. So do those of a
 * longconv: 3 x 32 that are projected, 3 x 32 that cross the long convolution and its output;
 * its filter is made by two layers of 16 columns. */
static void check_columns(const char *blocks, rw_recompute recompute, size_t columns, size_t states)
{
    char text[128];
    planned p;
    snprintf(text, sizeof text, "{width: 32, chunk: 16, blocks: [%s]}", blocks);
    plan_model(text, recompute, &p);
    size_t carries = 4096 / 16 * states;
    assert_true(p.plan->arena >= 4096 * columns);
    assert_true(p.plan->arena <= 4096 * columns + carries);
    forget(&p);
}

static void test_memory_of_backward(void **unused)
{
    (void)unused;
    check_columns("{mlp: swiglu, expand: 4}", RW_RECOMPUTE_NONE, 32 * 3 + 2 * 128, 0);
    check_columns("{mlp: swiglu, expand: 4}, {mlp: swiglu, expand: 4}", RW_RECOMPUTE_NONE,
                  32 * 4 + 4 * 128, 0);
    check_columns("{mixer: s4d, state: 4}", RW_RECOMPUTE_NONE, 32 * 3 + 3 * 32, 3 * 4 * 32);
    check_columns("{mixer: lstm}", RW_RECOMPUTE_NONE, 32 * 3 + 5 * 32, 2 * 2 * 32);
    check_columns("{mixer: gru}", RW_RECOMPUTE_NONE, 32 * 3 + 5 * 32, 2 * 32);
    check_columns("{mixer: longconv, filter_width: 16}", RW_RECOMPUTE_NONE,
                  32 * 3 + 7 * 32 + 2 * 16, 3 * 2 * 96);
    /* The input of the head is not made again. */
    check_columns("{mixer: longconv, filter_width: 16}", RW_RECOMPUTE_CHUNK,
                  32 * 2 + 7 * 32 + 2 * 16, 3 * 2 * 96);
}

int main(int argc, char **argv)
{
    const test_property properties[] = {
        {"micro-batches give the same bits", check_micro_batches},
        {"recomputation gives the same bits", check_recomputation},
        {"threads give the same bits", check_threads},
        {"a step leaves nothing behind", check_step_leaves_nothing},
        {"short memory is an error", check_short_memory},
    };
    const struct CMUnitTest memory_tests[] = {cmocka_unit_test(test_memory_by_chunk),
                                              cmocka_unit_test(test_memory_of_backward)};
    MPI_Init(&argc, &argv);
    int failed = test_run_properties("execution", properties,
                                     (int)(sizeof properties / sizeof *properties), TEST_ALL);
    failed += cmocka_run_group_tests_name("memory", memory_tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
