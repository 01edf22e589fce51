/* Packed documents: any packing gives each document the losses that it has
 * alone, and the gradients are their sum. Boundaries fall anywhere: at a
 * chunk's first and last row, several in a chunk, documents of one token. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "testing.h"

enum { CHUNK = 8, LENGTH = 61, SEQUENCES = 2, MAX_DOCUMENTS = 32 };

#ifdef RW_DOUBLE
static const double tolerance = 1e-9;
#else
static const double tolerance = 1e-4;
#endif

/* Where documents begin in each of the sequences; the last is the end. */
static const int starts[SEQUENCES][MAX_DOCUMENTS] = {
    {0, 1, 8, 15, 16, 17, 18, 40, 61},
    {0, 3, 5, 13, 24, 48, 60, 61},
};

static rw_plan_options options_of(long batch, long length)
{
    return (rw_plan_options){
        .chunk = CHUNK, .length = length, .batch = batch, .accumulate = 1, .training = true};
}

static void mark(rw_batch *batch)
{
    batch->starts = test_alloc((size_t)(batch->sequences * batch->rows), 1);
    for (int b = 0; b < SEQUENCES; b++)
        for (int i = 0; starts[b][i] < LENGTH; i++) batch->starts[b * LENGTH + starts[b][i]] = 1;
}

/* Adds gradient * counted of a step to `sum`. */
static void add_gradient(const test_rig *rig, double counted, real *sum)
{
    for (size_t i = 0; i < rw_graph_weights(rig->model->graph); i++)
        sum[i] += (real)(counted * (double)rig->model->gradient[i]);
}

/* Rows [first, first + rows) of sequence b as a batch of its own. */
static void one_document(const rw_batch *whole, int b, int first, int rows, rw_batch *out)
{
    test_batch_part(whole, (rw_range){b, b + 1}, (rw_range){first, first + rows}, out);
}

/* The document alone: compares its losses, adds up its gradient. */
static void check_document(const test_subject *subject, const rw_batch *whole, const real *row_loss,
                           int b, int first, int rows, real *sum)
{
    rw_plan_options options = options_of(1, rows);
    test_rig rig;
    rw_loss loss;
    real alone[LENGTH];
    test_rig_open(subject, &options, 1, &rig);
    test_batch_free(&rig.batch);
    one_document(whole, b, first, rows, &rig.batch);
    memset(alone, 0, sizeof alone);
    rw_engine_evaluate(rig.engine, &rig.batch, alone, &loss);
    for (int i = 0; i < rows; i++) {
        double difference = fabs((double)alone[i] - (double)row_loss[b * LENGTH + first + i]);
        if (difference > tolerance * (1 + fabs((double)alone[i])))
            fail_msg("%s: row %d of sequence %d has loss %g packed, %g alone", subject->name,
                     first + i, b, (double)row_loss[b * LENGTH + first + i], (double)alone[i]);
    }
    rw_engine_train(rig.engine, &rig.batch, 1, 0, &loss);
    add_gradient(&rig, loss.counted, sum);
    test_rig_close(&rig);
}

/* Dropout falls on other rows when the document stands elsewhere. */
static bool is_random(const rw_model *model)
{
    for (int i = 0; i < rw_graph_nodes(model->graph); i++)
        if (strcmp(rw_graph_node(model->graph, i)->op->name, "dropout") == 0) return true;
    return false;
}

static void compare_gradients(const test_subject *subject, const real *packed, const real *sum,
                              size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)sum[i]));
    for (size_t i = 0; i < count; i++)
        if (fabs((double)packed[i] - (double)sum[i]) > tolerance * largest)
            fail_msg("%s: gradient %zu is %g packed, %g alone", subject->name, i, (double)packed[i],
                     (double)sum[i]);
}

static void documents_are_independent(const test_subject *subject)
{
    rw_plan_options options = options_of(SEQUENCES, LENGTH);
    test_rig rig;
    rw_loss loss;
    if (subject->op && subject->op->sees_position) skip(); /* mixers with the op are tested */
    test_rig_open(subject, &options, 2, &rig);
    size_t count = rw_graph_weights(rig.model->graph);
    bool random = is_random(rig.model);
    real *packed = test_alloc(count, sizeof *packed), *sum = test_alloc(count, sizeof *sum);
    real *row_loss = test_alloc(SEQUENCES * LENGTH, sizeof *row_loss);
    rw_batch whole;
    mark(&rig.batch);
    rw_engine_evaluate(rig.engine, &rig.batch, row_loss, &loss);
    rw_engine_train(rig.engine, &rig.batch, 1, 0, &loss);
    add_gradient(&rig, loss.counted, packed);
    test_batch_part(&rig.batch, (rw_range){0, SEQUENCES}, (rw_range){0, LENGTH}, &whole);
    test_rig_close(&rig);
    for (int b = 0; b < SEQUENCES; b++)
        for (int i = 0; starts[b][i] < LENGTH; i++)
            check_document(subject, &whole, row_loss, b, starts[b][i],
                           starts[b][i + 1] - starts[b][i], sum);
    if (!random) compare_gradients(subject, packed, sum, count);
    test_batch_free(&whole);
    rw_free(&packed);
    rw_free(&sum);
    rw_free(&row_loss);
}

int main(int argc, char **argv)
{
    static const test_property properties[] = {
        {"documents are independent", documents_are_independent},
    };
    MPI_Init(&argc, &argv);
    int failed =
        test_run_properties("documents", properties, 1, TEST_OPS | TEST_MIXERS | TEST_HYBRIDS);
    MPI_Finalize();
    return failed;
}
