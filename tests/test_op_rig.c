/* What `ropewalk bench ops` runs: ops alone. That what it runs is the op, and that what
 * it counts is what the op declares. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <string.h>

#include "base/memory.h"
#include "measure/op_rig.h"
#include "measure/op_uses.h"
#include "measure/roofline.h"
#include "testing.h"

enum { WIDTH = 32, CHUNK = 16, THREADS = 2 };

static rw_layout layout;
static rw_op_uses uses;

static const rw_op_use *use_of(const char *name)
{
    for (size_t i = 0; i < uses.count; i++)
        if (strcmp(uses.use[i].op->name, name) == 0) return &uses.use[i];
    fail_msg("no use of %s", name);
    return NULL;
}

static void open_rig(const rw_op_use *use, rw_op_rig *rig)
{
    test_ok(rw_op_rig_open(&layout, use->model, use->node, 1e6, rig));
}

/* ---- Uses ---------------------------------------------------------------------- */

static void test_every_op_is_used_once(void **state)
{
    (void)state;
    for (int i = 0; rw_op_registry[i]; i++) assert_ptr_equal(uses.use[i].op, rw_op_registry[i]);
    for (size_t i = 0; i < uses.count; i++)
        for (size_t k = 0; k < i; k++) assert_ptr_not_equal(uses.use[i].op, uses.use[k].op);
    for (size_t m = 0; m < uses.model_count; m++) /* all ops of mixers are registered */
        for (int i = 0; i < rw_graph_nodes(uses.models[m]->graph); i++)
            use_of(rw_graph_node(uses.models[m]->graph, i)->op->name);
    assert_string_equal(use_of("ssd")->where, "ssd");
    assert_string_equal(use_of("reverse")->where, "sample");
}

/* ---- Runs ------------------------------------------------------------------------- */

static bool all_finite(const rw_op_rig *rig, int array)
{
    for (size_t i = 0; i < rig->per[array] * (size_t)rig->slots; i++)
        if (!isfinite((double)rig->array[array][i])) return false;
    return true;
}

static void assert_finite(const rw_op_rig *rig)
{
    bool finite = all_finite(rig, RW_RIG_OUT) && all_finite(rig, RW_RIG_STATE);
    for (int k = 0; k < rig->node.ins; k++) finite = finite && all_finite(rig, RW_RIG_DIN + k);
    if (!finite) fail_msg("%s: a result is not finite", rig->node.op->name);
}

/* The whole of each pass, twice: nothing of the first is in the way of the second. */
static void test_every_op_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < uses.count; i++) {
        rw_op_rig rig;
        open_rig(&uses.use[i], &rig);
        for (int pass = 0; pass < 2; pass++) {
            rw_op_rig_prepare(&rig);
            rw_op_rig_forward(&rig);
            rw_op_rig_backward(&rig);
            rw_op_rig_prepare_backward(&rig);
        }
        assert_finite(&rig);
        assert_true(rw_op_rig_tokens(&rig) >= (double)rig.slots);
        rw_op_rig_close(&rig);
    }
}

/* Each slot of a product is the op's reference. */
static void test_rig_runs_the_op(void **state)
{
    rw_op_rig rig;
    (void)state;
    open_rig(use_of("linear"), &rig);
    rw_op_rig_forward(&rig);
    size_t n = rig.per[RW_RIG_OUT];
    real *wanted = test_alloc(n, sizeof(real));
    rw_call call = {.node = &rig.node, .rows = CHUNK, .out = wanted, .out_ld = rig.node.out_width};
    call.in[0] = rig.array[RW_RIG_IN];
    call.in_ld[0] = rig.node.in_width[0];
    for (int k = 0; k < rig.node.params; k++)
        call.param[k] =
            rig.model->weights + rw_graph_param_at(rig.model->graph, rig.node.param[k])->offset;
    rig.node.op->reference(&call);
    for (long s = 0; s < rig.slots; s++)
        for (size_t i = 0; i < n; i++)
            assert_true(fabs((double)(rig.array[RW_RIG_OUT][(size_t)s * n + i] - wanted[i])) <
                        1e-5);
    rw_free(&wanted);
    rw_op_rig_close(&rig);
}

/* ---- Gradients in the place of values ---------------------------------------------- */

/* Backward, and what it adds to the gradients of parameters in *leaf, to be freed. */
static void run_backward(rw_op_rig *rig, real **leaf)
{
    const size_t reals = rig->leaf_each * THREADS;
    memset(rig->leaf, 0, reals * sizeof(real));
    rw_op_rig_backward(rig);
    *leaf = test_alloc(reals, sizeof(real));
    memcpy(*leaf, rig->leaf, reals * sizeof(real));
}

static void assert_equal(const rw_op_use *use, const real *got, const real *wanted, size_t reals)
{
    if (memcmp(got, wanted, reals * sizeof(real)) != 0)
        fail_msg("%s: gradients in the place of something else are others", use->op->name);
}

/* Backward with din[k] in the place of in[k], of all inputs of which the op allows it:
 * the gradients are those that it writes elsewhere. */
static void assert_in_place(const rw_op_use *use)
{
    rw_op_rig rig;
    real *elsewhere[RW_MAX_INPUTS] = {0}, *wanted, *got;
    open_rig(use, &rig);
    rw_op_rig_prepare(&rig);
    rw_op_rig_forward(&rig);
    run_backward(&rig, &wanted);
    for (int k = 0; k < rig.node.ins; k++)
        if (rig.node.op->promises.in_place >> k & 1) {
            elsewhere[k] = rig.array[RW_RIG_DIN + k];
            rig.array[RW_RIG_DIN + k] = rig.array[RW_RIG_IN + k];
        }
    run_backward(&rig, &got);
    assert_equal(use, got, wanted, rig.leaf_each * THREADS);
    for (int k = 0; k < rig.node.ins; k++) {
        if (!elsewhere[k]) continue;
        assert_equal(use, rig.array[RW_RIG_IN + k], elsewhere[k],
                     rig.per[RW_RIG_IN + k] * (size_t)rig.slots);
        rig.array[RW_RIG_DIN + k] = elsewhere[k];
    }
    rw_free(&wanted);
    rw_free(&got);
    rw_op_rig_close(&rig);
}

/* Backward with din[0] in the place of dout. */
static void assert_shared(const rw_op_use *use)
{
    rw_op_rig rig;
    real *leaf, *din[RW_MAX_INPUTS];
    open_rig(use, &rig);
    rw_op_rig_prepare(&rig);
    rw_op_rig_forward(&rig);
    run_backward(&rig, &leaf);
    rw_free(&leaf);
    for (int k = 0; k < rig.node.ins; k++) {
        const size_t reals = rig.per[RW_RIG_DIN + k] * (size_t)rig.slots;
        din[k] = test_alloc(reals, sizeof(real));
        memcpy(din[k], rig.array[RW_RIG_DIN + k], reals * sizeof(real));
    }
    real *elsewhere = rig.array[RW_RIG_DIN];
    rig.array[RW_RIG_DIN] = rig.array[RW_RIG_DOUT];
    run_backward(&rig, &leaf);
    for (int k = 0; k < rig.node.ins; k++)
        assert_equal(use, rig.array[RW_RIG_DIN + k], din[k],
                     rig.per[RW_RIG_DIN + k] * (size_t)rig.slots);
    rig.array[RW_RIG_DIN] = elsewhere;
    for (int k = 0; k < rig.node.ins; k++) rw_free(&din[k]);
    rw_free(&leaf);
    rw_op_rig_close(&rig);
}

static void test_shared_gradients(void **state)
{
    int count = 0;
    (void)state;
    for (size_t i = 0; i < uses.count; i++) {
        const rw_node *node = rw_graph_node(uses.use[i].model->graph, uses.use[i].node);
        if (!node->op->promises.shares_gradient || node->in_width[0] != node->out_width) continue;
        assert_shared(&uses.use[i]);
        count++;
    }
    assert_true(count > 0);
}

static void test_gradients_in_place(void **state)
{
    int count = 0;
    (void)state;
    for (size_t i = 0; i < uses.count; i++) {
        if (!uses.use[i].op->promises.in_place) continue;
        assert_in_place(&uses.use[i]);
        count++;
    }
    assert_true(count > 0);
}

/* ---- Costs -------------------------------------------------------------------------- */

static rw_cost cost_of(const char *name, bool backward)
{
    const rw_op_use *use = use_of(name);
    rw_node node;
    test_ok(rw_model_node(use->model, use->node, &node));
    return rw_op_cost(&node, CHUNK, backward);
}

static void assert_cost(rw_cost cost, double flops, double reals)
{
    assert_true(cost.flops == flops);
    assert_true(cost.bytes == reals * (double)sizeof(real));
}

static void test_costs(void **state)
{
    enum { VOCAB = 256, OUT = 3 * WIDTH }; /* of the first linear: queries, keys, values */
    double weights = WIDTH * OUT, product = 2.0 * CHUNK * WIDTH * OUT;
    (void)state;
    assert_cost(cost_of("linear", false), product, CHUNK * (WIDTH + OUT) + weights);
    assert_cost(cost_of("linear", true), 2 * product, CHUNK * (2 * WIDTH + OUT) + 2 * weights);
    /* Nothing is kept, both gradients are written. */
    assert_cost(cost_of("residual", false), CHUNK * WIDTH, CHUNK * 3 * WIDTH);
    assert_cost(cost_of("residual", true), 2 * CHUNK * WIDTH, CHUNK * 3 * WIDTH);
    /* Rows of the table, not the table. */
    assert_cost(cost_of("embedding", false), 0, CHUNK * 2 * WIDTH);
    assert_cost(cost_of("embedding", true), 0, CHUNK * 3 * WIDTH);
    double logits = 2.0 * CHUNK * VOCAB * WIDTH;
    assert_cost(cost_of("cross_entropy", true), 3 * logits,
                CHUNK * 2 * WIDTH + 2.0 * VOCAB * WIDTH);
    assert_cost(cost_of("positions", true), 0, 0); /* no way back */
}

/* The nearer limit counts, and a model's limits those of its ops. */
static void test_roofline(void **state)
{
    const rw_rates rates = {.products = 100, .memory = 10};
    (void)state;
    assert_true(rw_roofline_seconds((rw_cost){300, 20}, rates) == 3);
    assert_true(rw_roofline_seconds((rw_cost){300, 40}, rates) == 4);
    assert_false(rw_roofline_is_memory((rw_cost){300, 20}, rates));
    assert_true(rw_roofline_is_memory((rw_cost){300, 40}, rates));
    const rw_model *model = use_of("ssd")->model;
    double forward = rw_roofline_model(model, CHUNK, CHUNK, false, rates);
    double step = rw_roofline_model(model, CHUNK, CHUNK, true, rates);
    assert_true(forward > 0 && step > 2 * forward && step < 4 * forward);
    assert_true(rw_roofline_model(model, 4 * CHUNK, 8 * CHUNK, false, rates) == 8 * forward);
}

static int open_uses(void **state)
{
    (void)state;
    test_ok(rw_layout_alone(THREADS, &layout));
    test_ok(rw_op_uses_new(WIDTH, CHUNK, &uses));
    return 0;
}

static int close_uses(void **state)
{
    (void)state;
    rw_op_uses_free(&uses);
    rw_layout_free(&layout);
    return rw_memory_in_use() != 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_is_used_once),
        cmocka_unit_test(test_every_op_runs),
        cmocka_unit_test(test_rig_runs_the_op),
        cmocka_unit_test(test_gradients_in_place),
        cmocka_unit_test(test_shared_gradients),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_roofline),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests(tests, open_uses, close_uses);
    MPI_Finalize();
    return failed;
}
