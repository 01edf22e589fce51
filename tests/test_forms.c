/* The forms of everything that is registered agree: reference, chunk-parallel,
 * step by step, and (in double) the gradient with differences of the loss. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <mpi.h>
#include <string.h>

#include "base/memory.h"
#include "model/recurrent.h"
#include "model/reference.h"
#include "testing.h"

#define IS_DOUBLE (sizeof(real) == 8)

/* Chunk lengths, and lengths of sequences: of one token, as long as a chunk,
 * one token longer, several chunks and a part of one. */
typedef struct {
    int chunk;
    long length, batch;
} sizes;
static const sizes all_sizes[] = {{8, 37, 2}, {16, 37, 2}, {8, 9, 2}, {16, 16, 2}, {8, 1, 1}};
static int size_count(void)
{
    return test_is_fast() ? 2 : (int)(sizeof all_sizes / sizeof(sizes));
}

static rw_plan_options options_of(sizes s, bool training)
{
    return (rw_plan_options){.chunk = s.chunk,
                             .length = s.length,
                             .batch = s.batch,
                             .accumulate = 1,
                             .training = training};
}

static void assert_near(double value, double wanted, double tolerance, const char *what, long index)
{
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%s %ld: %.12g is not %.12g (difference %.3g, allowed %.3g)", what, index, value,
                 wanted, value - wanted, tolerance);
}

/* The losses of all rows, (batch, length); the caller frees them. */
static real *row_losses(test_rig *rig, rw_loss *loss)
{
    real *rows = test_alloc((size_t)(rig->batch.sequences * rig->batch.rows), sizeof(real));
    rw_engine_evaluate(rig->engine, &rig->batch, rows, loss);
    return rows;
}

/* ---- Against the reference ------------------------------------------------- */

static void check_reference_at(const test_subject *subject, sizes s)
{
    double tolerance = IS_DOUBLE ? 1e-10 : 1e-4, sum = 0;
    rw_plan_options options = options_of(s, false);
    test_rig rig;
    rw_loss loss;
    test_rig_open(subject, &options, 1, &rig);
    real *rows = row_losses(&rig, &loss);
    for (long b = 0; b < s.batch; b++) {
        double reference, fast = 0;
        rw_sequence sequence = test_batch_sequence(&rig.batch, b);
        test_ok(rw_reference_loss(rig.model, s.length, &sequence, &reference));
        for (long t = 0; t < s.length; t++) fast += (double)rows[b * s.length + t];
        assert_near(fast, reference, tolerance * fabs(reference), "loss of sequence", b);
        sum += reference;
    }
    assert_near(loss.loss, sum / (double)rig.batch.counted, tolerance * fabs(loss.loss), "loss", 0);
    assert_true(loss.counted == (double)rig.batch.counted);
    rw_free(&rows);
    test_rig_close(&rig);
}

static void check_reference(const test_subject *subject)
{
    for (int i = 0; i < size_count(); i++) check_reference_at(subject, all_sizes[i]);
}

/* ---- Gradients -------------------------------------------------------------- */

/* Elements of a tensor that are checked, with the largest; of whole models fewer. */
enum { SAMPLES = 10, SAMPLES_OF_WHOLE = 2 };
/* Of a gradient, relative to it or to the largest elements. */
static const double gradient_tolerance = 1e-6;

/* d loss / d weight at `place`, by central differences of fourth order. */
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

/* The difference nearest to `value`, with steps that shrink until it is near
 * enough: a norm of small rows bends on a scale of its own, so that no one step
 * serves all, but to a wrong gradient no step converges. */
static double nearest_difference(test_rig *rig, size_t place, double value, double floor)
{
    double best = INFINITY;
    for (double h = 1e-3; h > 1e-6; h /= 5) {
        double found = difference_at(rig, place, h);
        if (fabs(found - value) < fabs(best - value)) best = found;
        if (fabs(best - value) <= gradient_tolerance * fmax(floor, fabs(value))) break;
    }
    return best;
}

static size_t largest_of(const real *x, long count)
{
    long at = 0;
    for (long i = 1; i < count; i++)
        if (fabs((double)x[i]) > fabs((double)x[at])) at = i;
    return (size_t)at;
}

/* The i-th of `samples` elements that are checked: all if they are few, else a
 * random choice. */
static size_t chosen(const rw_param *param, long samples, long i)
{
    long count = param->rows * param->cols;
    rw_random choice = rw_random_stream(17, RW_RANDOM_TEST, param->offset);
    return count <= samples ? (size_t)i : rw_random_below(choice, (uint64_t)i, (uint64_t)count);
}

static void check_tensor(test_rig *rig, const real *gradient, const rw_param *param, long samples,
                         double floor)
{
    long count = param->rows * param->cols;
    const real *own = gradient + param->offset;
    size_t top = largest_of(own, count);
    floor = fmax(floor, 1e-3 * fabs((double)own[top]));
    if (samples > count) samples = count;
    for (long i = 0; i <= samples; i++) {
        size_t place = i < samples ? chosen(param, samples, i) : top;
        double value = (double)own[place];
        double wanted = nearest_difference(rig, param->offset + place, value, floor);
        double scale = fmax(floor, fmax(fabs(wanted), fabs(value)));
        assert_near(value, wanted, gradient_tolerance * scale, param->name, (long)place);
    }
}

/* Differences of whole models take long: one size of them and few elements, all of
 * what they are made of. */
static bool is_whole_model(const test_subject *subject)
{
    return !subject->op && !subject->mixer && !subject->objective;
}

/* The training loss is differenced: with dropout, under the mask of the step. */
static void check_gradient_at(const test_subject *subject, sizes s, bool carry)
{
    const long samples = is_whole_model(subject) ? SAMPLES_OF_WHOLE : SAMPLES;
    rw_plan_options options = options_of(s, true);
    test_rig rig;
    options.carry = carry;
    test_rig_open(subject, &options, 1, &rig);
    if (carry) { /* a state comes in from a step before, a constant for the gradient */
        test_rig_train(&rig);
        rw_engine_carry_on(rig.engine);
    }
    size_t reals = rw_graph_weights(rig.model->graph);
    real *gradient = test_alloc(reals, sizeof(real));
    test_rig_train(&rig);
    memcpy(gradient, rig.model->gradient, reals * sizeof(real));
    double floor = 1e-4 * fabs((double)gradient[largest_of(gradient, (long)reals)]);
    assert_true(floor > 0);
    for (int i = 0; i < rw_graph_params(rig.model->graph); i++)
        check_tensor(&rig, gradient, rw_graph_param_at(rig.model->graph, i), samples, floor);
    rw_free(&gradient);
    test_rig_close(&rig);
}

static void check_gradient(const test_subject *subject)
{
    int count = is_whole_model(subject) ? 1 : size_count();
    for (int i = 0; i < count; i++) check_gradient_at(subject, all_sizes[i], false);
}

static void check_gradient_with_carry(const test_subject *subject)
{
    test_skip_unless_carries(subject);
    check_gradient_at(subject, (sizes){8, 24, 2}, true);
    if (!test_is_fast() && !is_whole_model(subject))
        check_gradient_at(subject, (sizes){8, 8, 2}, true);
}

/* ---- Causality -------------------------------------------------------------- */

/* Changes what goes in at one token of the first sequence. */
static void disturb(rw_batch *batch, long t)
{
    batch->tokens[t] = (batch->tokens[t] + 1) % TEST_VOCAB;
    for (long f = 0; f < TEST_FEATURES; f++) batch->features[t * TEST_FEATURES + f] += 1;
}

static void skip_if_sees_ahead(const test_subject *subject)
{
    rw_model *model;
    test_ok(test_model_new(subject, all_sizes[0].chunk, &model));
    bool ahead = rw_model_sees_ahead(model);
    rw_model_destroy(&model);
    if (ahead) skip();
}

/* Rows before `first` and of other sequences keep their bits. A convolution by
 * FFT spreads the rounding of every token over all of its chunk, or, if it is as
 * long as the document, over that: earlier rows of it may move by that, and by
 * no more. */
static void check_disturbed(const real *before, const real *after, sizes s, long first, long t)
{
    double rounding = IS_DOUBLE ? 1e-12 : 2e-5;
    bool moved = false;
    for (long i = 0; i < s.batch * s.length; i++) {
        double wanted = (double)before[i];
        if (i >= s.length || i < first)
            assert_near((double)after[i], wanted, 0, "loss of row", i);
        else if (i < t)
            assert_near((double)after[i], wanted, rounding * (1 + fabs(wanted)), "loss of row", i);
        else
            moved = moved || fabs((double)after[i] - wanted) > 1e-3 * fabs(wanted);
    }
    assert_true(moved);
}

static bool spreads_rounding(const rw_graph *graph)
{
    for (int i = 0; i < rw_graph_nodes(graph); i++)
        if (rw_graph_node(graph, i)->op->spreads_rounding) return true;
    return false;
}

static void check_causality(const test_subject *subject)
{
    const long places[] = {0, 5, 7, 8, 20, 36};
    const sizes s = all_sizes[0];
    rw_plan_options options = options_of(s, false);
    test_rig rig;
    rw_loss loss;
    skip_if_sees_ahead(subject);
    test_rig_open(subject, &options, 1, &rig);
    real *before = row_losses(&rig, &loss);
    bool spreads = spreads_rounding(rig.model->graph);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        test_batch_free(&rig.batch);
        test_batch_new(s.batch, s.length, &rig.batch);
        disturb(&rig.batch, places[i]);
        real *after = row_losses(&rig, &loss);
        check_disturbed(before, after, s, spreads ? 0 : places[i] / s.chunk * s.chunk, places[i]);
        rw_free(&after);
    }
    rw_free(&before);
    test_rig_close(&rig);
}

/* ---- Chunk length ------------------------------------------------------------ */

static void check_same_gradient(const rw_graph *graph, const real *value, const real *wanted)
{
    double tolerance = IS_DOUBLE ? 1e-9 : 1e-4;
    double floor = 1e-3 * fabs((double)wanted[largest_of(wanted, (long)rw_graph_weights(graph))]);
    for (int i = 0; i < rw_graph_params(graph); i++) {
        const rw_param *param = rw_graph_param_at(graph, i);
        long count = param->rows * param->cols;
        const real *own = wanted + param->offset;
        double scale = fmax(floor, fabs((double)own[largest_of(own, count)]));
        for (long k = 0; k < count; k++)
            assert_near((double)value[param->offset + (size_t)k], (double)own[k], tolerance * scale,
                        param->name, k);
    }
}

static void check_chunk_length(const test_subject *subject)
{
    const int chunks[] = {64, 4, 8, 16};
    double tolerance = IS_DOUBLE ? 1e-9 : 1e-5, wanted = 0;
    real *gradient = NULL;
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        rw_plan_options options = options_of((sizes){chunks[i], 53, 2}, true);
        test_rig rig;
        test_rig_open(subject, &options, 1, &rig);
        size_t reals = rw_graph_weights(rig.model->graph);
        double loss = test_rig_train(&rig);
        if (!gradient) {
            gradient = test_alloc(reals, sizeof(real));
            memcpy(gradient, rig.model->gradient, reals * sizeof(real));
            wanted = loss;
        }
        assert_near(loss, wanted, tolerance * fabs(wanted), "loss in chunks of", chunks[i]);
        check_same_gradient(rig.model->graph, rig.model->gradient, gradient);
        test_rig_close(&rig);
    }
    rw_free(&gradient);
}

/* ---- Step by step ------------------------------------------------------------ */

extern const rw_op rw_op_cross_entropy, rw_op_squared_error;

static double loss_of_logits(const real *scores, int32_t target)
{
    double sum = 0;
    if (target == RW_IGNORE) return 0;
    for (int v = 0; v < TEST_VOCAB; v++) sum += exp((double)scores[v]);
    return log(sum) - (double)scores[target];
}

static double loss_of_prediction(const real *scores, const real *target)
{
    double sum = 0;
    for (int f = 0; f < TEST_FEATURES && !isnan(target[0]); f++)
        sum += ((double)scores[f] - (double)target[f]) * ((double)scores[f] - (double)target[f]);
    return sum / TEST_FEATURES;
}

/* Feeds sequence b token by token. */
static void check_steps(rw_recurrent *recurrent, const rw_op *head, const rw_batch *batch, long b,
                        const real *rows)
{
    rw_sequence data = test_batch_sequence(batch, b);
    double tolerance = IS_DOUBLE ? 1e-9 : 1e-4;
    for (long t = 0; t < batch->rows; t++) {
        real scores[TEST_VOCAB];
        rw_recurrent_step(recurrent, data.tokens[t], data.features + t * TEST_FEATURES, scores);
        double loss = head == &rw_op_cross_entropy
                          ? loss_of_logits(scores, data.targets[t])
                          : loss_of_prediction(scores, data.target_features + t * TEST_FEATURES);
        double wanted = (double)rows[b * batch->rows + t];
        assert_near(loss, wanted, tolerance * (1 + fabs(wanted)), "loss of token", t);
    }
}

static void check_generation(const test_subject *subject)
{
    const sizes s = all_sizes[0];
    rw_plan_options options = options_of(s, false);
    rw_recurrent *recurrent;
    test_rig rig;
    rw_loss loss;
    skip_if_sees_ahead(subject);
    test_rig_open(subject, &options, 1, &rig);
    const rw_graph *graph = rig.model->graph;
    const rw_op *head = rw_graph_node(graph, rw_graph_nodes(graph) - 1)->op;
    /* Scores are known for these two: another loss is tested on its own. */
    bool known = head == &rw_op_cross_entropy || head == &rw_op_squared_error;
    real *rows = row_losses(&rig, &loss);
    test_ok(rw_recurrent_new(rig.model, s.length, &recurrent));
    for (long b = 0; known && b < s.batch; b++) {
        check_steps(recurrent, head, &rig.batch, b, rows);
        rw_recurrent_reset(recurrent);
    }
    rw_recurrent_destroy(&recurrent);
    rw_free(&rows);
    test_rig_close(&rig);
    if (!known) skip();
}

int main(int argc, char **argv)
{
    const test_property properties[] = {
        {"engine is the reference", check_reference},
        {"no row sees later tokens", check_causality},
        {"chunk length does not matter", check_chunk_length},
        {"step by step is parallel", check_generation},
        /* In double only: */
        {"gradient is the difference", check_gradient},
        {"gradient with a carry is the difference", check_gradient_with_carry},
    };
    int count = (int)(sizeof properties / sizeof *properties) - (IS_DOUBLE ? 0 : 2);
    MPI_Init(&argc, &argv);
    int failed = test_run_properties("forms", properties, count, TEST_ALL);
    MPI_Finalize();
    return failed;
}
