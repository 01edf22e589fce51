/* The ssd mixer against Mamba-2 as written by others: outputs and gradients of
 * sum(output * dout), from tests/data/mamba2_oracle.h5, whose layout is told in
 * tests/make_mamba2_oracle.py.
 *
 * Every token of the data is one of its own, its input a row of an embedding:
 * the gradient with respect to the inputs is that of the table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <hdf5.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/recurrent.h"
#include "testing.h"

/* Of the largest element: the data are float32, and were computed so in part. */
#define TOLERANCE 2e-5

/* ---- A loss that shows the output ----------------------------------------------- */

/* loss = sum over rows and columns of x * weight, weights being the targets. */
static rw_status weighted_shape(const rw_node *node, int *out_width)
{
    (void)node;
    *out_width = 0;
    return RW_OK;
}

static void weighted_forward(const rw_call *call)
{
    int width = call->node->in_width[0];
    for (int t = 0; t < call->rows; t++) {
        double sum = 0;
        for (int d = 0; d < width; d++)
            sum += (double)call->in[0][t * call->in_ld[0] + d] *
                   (double)call->data.target_features[t * width + d];
        if (call->loss.rows) call->loss.rows[t] = (real)sum;
        if (call->loss.sum) *call->loss.sum += sum;
    }
}

static void weighted_backward(const rw_call *call)
{
    int width = call->node->in_width[0];
    weighted_forward(call);
    for (int t = 0; t < call->rows; t++)
        for (int d = 0; d < width; d++)
            call->back.din[0][t * call->back.din_ld[0] + d] =
                call->loss.scale * call->data.target_features[t * width + d];
}

static void weighted_step(const rw_call *call)
{
    memcpy(call->loss.scores, call->in[0], (size_t)call->node->in_width[0] * sizeof(real));
}

static const rw_op weighted_sum = {
    .name = "weighted_sum",
    .doc = "sum of the input times the targets",
    .is_loss = true,
    .shape = weighted_shape,
    .forward = weighted_forward,
    .backward = weighted_backward,
    .reference = weighted_forward,
    .step = weighted_step,
};

/* ---- The file ---------------------------------------------------------------- */

static hid_t open_oracle(void)
{
    const char *folder = getenv("srcdir");
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/data/mamba2_oracle.h5", folder ? folder : ".");
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) fail_msg("cannot open %s; set srcdir to the top of the sources", path);
    return file;
}

static long read_size(hid_t file, const char *name)
{
    int64_t value = 0;
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
    return (long)value;
}

/* Reads `count` reals of dataset FOLDER NAME. */
static void read_reals(hid_t file, const char *folder, const char *name, size_t count, real *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s", folder, name);
    hid_t set = H5Dopen(file, path, H5P_DEFAULT), space = H5Dget_space(set);
    assert_true(set >= 0 && space >= 0);
    assert_int_equal(H5Sget_simple_extent_npoints(space), count);
    hid_t type = sizeof(real) == 8 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Sclose(space);
    H5Dclose(set);
}

/* ---- The model ---------------------------------------------------------------- */

typedef struct {
    hid_t file;
    long hidden, batch, length;
    size_t rows; /* batch * length */
    rw_model *model;
    rw_batch data; /* targets: dout */
    real *output;  /* (rows, hidden), of the others */
} oracle;

static rw_status build_mixer(const oracle *o, rw_graph *graph, rw_value x, rw_value *y)
{
    const rw_mixer *mixer = rw_mixer_find("ssd");
    char text[128];
    rw_config *config;
    snprintf(text, sizeof text, "{state: %ld, heads: %ld, expand: %ld, conv: %ld}",
             read_size(o->file, "state"), read_size(o->file, "heads"),
             read_size(o->file, "inner") / o->hidden, read_size(o->file, "conv"));
    RW_TRY(rw_config_parse(text, "a test", NULL, 0, &config));
    rw_status status = rw_config_check(config, (const rw_key *const[]){mixer->keys}, 1);
    if (status == RW_OK) status = mixer->build(graph, config, x, y);
    rw_config_destroy(&config);
    return status;
}

static void read_weights(oracle *o)
{
    for (int i = 0; i < rw_graph_params(o->model->graph); i++) {
        const rw_param *p = rw_graph_param_at(o->model->graph, i);
        bool input = strcmp(p->name, "input.weight") == 0;
        read_reals(o->file, input ? "" : "weights/", input ? "input" : p->name,
                   (size_t)(p->rows * p->cols), o->model->weights + p->offset);
    }
}

static void open_model(oracle *o, int chunk)
{
    rw_graph *graph;
    rw_value x, y;
    int table;
    test_ok(rw_graph_new(&graph));
    test_ok(rw_embedding(graph, "input", (int)o->rows, (int)o->hidden, &table, &x));
    test_ok(build_mixer(o, graph, x, &y));
    test_ok(rw_graph_apply(graph, &weighted_sum, NULL, 0, &y, 1, NULL, 0, NULL));
    test_ok(rw_model_of_graph(graph, chunk, 1, true, &o->model));
    read_weights(o);
}

static void open_all(oracle *o, int chunk)
{
    o->file = open_oracle();
    o->hidden = read_size(o->file, "hidden");
    o->batch = read_size(o->file, "batch");
    o->length = read_size(o->file, "length");
    o->rows = (size_t)(o->batch * o->length);
    open_model(o, chunk);
    /* One counted target: the mean loss is the sum. */
    o->data = (rw_batch){.sequences = o->batch, .rows = o->length, .counted = 1};
    o->data.target_width = (int)o->hidden;
    o->data.tokens = test_alloc(o->rows, sizeof(int32_t));
    o->data.target_features = test_alloc(o->rows * (size_t)o->hidden, sizeof(real));
    o->output = test_alloc(o->rows * (size_t)o->hidden, sizeof(real));
    for (size_t i = 0; i < o->rows; i++) o->data.tokens[i] = (int32_t)i;
    read_reals(o->file, "", "dout", o->rows * (size_t)o->hidden, o->data.target_features);
    read_reals(o->file, "", "output", o->rows * (size_t)o->hidden, o->output);
}

static void close_all(oracle *o)
{
    rw_free(&o->data.tokens);
    rw_free(&o->data.target_features);
    rw_free(&o->output);
    rw_model_destroy(&o->model);
    H5Fclose(o->file);
}

static void assert_near(const char *name, const real *value, const real *wanted, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)wanted[i]));
    assert_true(largest > 0);
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)value[i] - (double)wanted[i]) <= TOLERANCE * largest))
            fail_msg("%s %zu: %.9g is not %.9g (largest: %.9g)", name, i, (double)value[i],
                     (double)wanted[i], largest);
}

static const int chunks[] = {16, 64, 128};
enum { CHUNKS = sizeof chunks / sizeof *chunks };

static rw_plan_options plan_of(const oracle *o, int chunk)
{
    return (rw_plan_options){
        .chunk = chunk, .length = o->length, .batch = o->batch, .accumulate = 1, .training = true};
}

/* ---- Tests -------------------------------------------------------------------- */

/* Column j of the output is the row loss whose weights are one in column j. */
static void read_output(const oracle *o, rw_engine *engine, real *out)
{
    size_t hidden = (size_t)o->hidden;
    rw_batch data = o->data;
    rw_loss loss;
    real *column = test_alloc(o->rows, sizeof(real));
    data.target_features = test_alloc(o->rows * hidden, sizeof(real));
    for (size_t j = 0; j < hidden; j++) {
        for (size_t i = 0; i < o->rows * hidden; i++)
            data.target_features[i] = i % hidden == j ? 1 : 0;
        rw_engine_evaluate(engine, &data, column, &loss);
        for (size_t i = 0; i < o->rows; i++) out[i * hidden + j] = column[i];
    }
    rw_free(&data.target_features);
    rw_free(&column);
}

static void check_gradients(const oracle *o)
{
    for (int i = 0; i < rw_graph_params(o->model->graph); i++) {
        const rw_param *p = rw_graph_param_at(o->model->graph, i);
        size_t count = (size_t)(p->rows * p->cols);
        bool input = strcmp(p->name, "input.weight") == 0;
        real *wanted = test_alloc(count, sizeof(real));
        read_reals(o->file, "gradients/", input ? "input" : p->name, count, wanted);
        assert_near(p->name, o->model->gradient + p->offset, wanted, count);
        rw_free(&wanted);
    }
}

static void test_outputs_and_gradients(void **unused)
{
    (void)unused;
    for (int i = 0; i < CHUNKS; i++) {
        oracle o;
        rw_layout layout;
        rw_engine *engine;
        rw_loss loss;
        test_ok(rw_layout_alone(1, &layout));
        open_all(&o, chunks[i]);
        rw_plan_options options = plan_of(&o, chunks[i]);
        test_ok(rw_engine_new(o.model, &layout, &options, &engine));
        real *out = test_alloc(o.rows * (size_t)o.hidden, sizeof(real));
        read_output(&o, engine, out);
        assert_near("output", out, o.output, o.rows * (size_t)o.hidden);
        rw_engine_train(engine, &o.data, 1, 1, &loss);
        check_gradients(&o);
        rw_free(&out);
        rw_engine_destroy(&engine);
        close_all(&o);
        rw_layout_free(&layout);
    }
}

static void test_step_by_step(void **unused)
{
    (void)unused;
    oracle o;
    rw_recurrent *recurrent;
    open_all(&o, 16);
    real *out = test_alloc(o.rows * (size_t)o.hidden, sizeof(real));
    test_ok(rw_recurrent_new(o.model, 1000, &recurrent));
    for (size_t i = 0; i < o.rows; i++) {
        if (i % (size_t)o.length == 0) rw_recurrent_reset(recurrent);
        rw_recurrent_step(recurrent, o.data.tokens[i], NULL, out + i * (size_t)o.hidden);
    }
    assert_near("output", out, o.output, o.rows * (size_t)o.hidden);
    rw_recurrent_destroy(&recurrent);
    rw_free(&out);
    close_all(&o);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_and_gradients),
        cmocka_unit_test(test_step_by_step),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests_name("mamba2 oracle", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
