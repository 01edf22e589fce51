#include "testing.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/state.h"

enum { SEED = 5 };

void test_ok(rw_status status)
{
    if (status != RW_OK) fail_msg("%s: %s", rw_message_origin(), rw_message());
}

void *test_alloc(size_t count, size_t size)
{
    void *out;
    test_ok(rw_alloc(count, size, "a test", &out));
    return out;
}

bool test_is_fast(void)
{
    const char *scope = getenv("RW_TEST_SCOPE");
    return scope && strcmp(scope, "fast") == 0;
}

/* ---- Subjects ------------------------------------------------------------- */

typedef struct {
    test_subject *out;
    int capacity, count;
} subject_list;

static void add_subject(subject_list *list, const char *kind, test_subject subject)
{
    if (list->count == list->capacity) return;
    const char *name = subject.op          ? subject.op->name
                       : subject.mixer     ? subject.mixer->name
                       : subject.objective ? subject.objective->name
                                           : "of all mixers";
    const char *data = subject.format.vocab      ? " on tokens"
                       : subject.format.features ? " on features"
                                                 : "";
    snprintf(subject.name, sizeof subject.name, "%s %s%s", kind, name, data);
    list->out[list->count++] = subject;
}

static const rw_format formats[] = {
    {.vocab = TEST_VOCAB, .target_vocab = TEST_VOCAB},
    {.features = TEST_FEATURES, .target_vocab = TEST_VOCAB},
    {.vocab = TEST_VOCAB, .target_features = TEST_FEATURES},
    {.features = TEST_FEATURES, .target_features = TEST_FEATURES},
};
enum { FORMATS = sizeof formats / sizeof *formats };

int test_subjects(unsigned kinds, test_subject *out, int capacity)
{
    subject_list list = {out, capacity, 0};
    for (int i = 0; (kinds & TEST_OPS) && rw_op_registry[i]; i++)
        add_subject(&list, "op", (test_subject){.op = rw_op_registry[i]});
    for (int i = 0; (kinds & TEST_MIXERS) && rw_mixer_registry[i]; i++)
        add_subject(&list, "mixer", (test_subject){.mixer = rw_mixer_registry[i]});
    for (int i = 0; (kinds & TEST_OBJECTIVES) && rw_objective_registry[i]; i++)
        for (int f = 0; f < FORMATS; f++)
            if (rw_objective_registry[i]->accepts(&formats[f]))
                add_subject(
                    &list, "objective",
                    (test_subject){.objective = rw_objective_registry[i], .format = formats[f]});
    if (kinds & TEST_HYBRIDS) {
        add_subject(&list, "hybrid", (test_subject){.format = formats[0]});
        add_subject(&list, "hybrid", (test_subject){.format = formats[FORMATS - 1]});
        add_subject(&list, "bidirectional hybrid",
                    (test_subject){.format = formats[FORMATS - 1], .bidirectional = true});
    }
    if (kinds & TEST_CARRYING)
        add_subject(&list, "carrying hybrid",
                    (test_subject){.format = formats[FORMATS - 1], .carrying = true});
    return list.count;
}

/* Sizes that keep a mixer small, or let it look over several chunks, for those that
 * have such a key. */
static const char *const small_sizes[][2] = {{"state", "8"},          {"heads", "4"},
                                             {"dilation", "9"},       {"filter_width", "8"},
                                             {"filter_length", "40"}, {"bands", "2"}};

/* Appends "{mixer: NAME, KEY: VALUE ...}". hidden: units of a recurrence, if it has them. */
static void write_mixer(const rw_mixer *mixer, int hidden, const char *more, char *text,
                        size_t size)
{
    size_t used = strlen(text);
    used += (size_t)snprintf(text + used, size - used, "{mixer: %s", mixer->name);
    for (size_t i = 0; i < sizeof small_sizes / sizeof *small_sizes; i++)
        for (const rw_key *key = mixer->keys; key->name; key++)
            if (strcmp(key->name, small_sizes[i][0]) == 0)
                used += (size_t)snprintf(text + used, size - used, ", %s: %s", key->name,
                                         small_sizes[i][1]);
    for (const rw_key *key = mixer->keys; key->name; key++)
        if (strcmp(key->name, "hidden") == 0)
            used += (size_t)snprintf(text + used, size - used, ", hidden: %d", hidden);
    snprintf(text + used, size - used, "%s}", more);
}

static rw_status build_mixer(rw_graph *graph, const rw_mixer *mixer, rw_value x, rw_value *y)
{
    static const rw_key name_key[] = {{.name = "mixer", .type = RW_KEY_STRING}, RW_KEYS_END};
    char text[512] = "";
    rw_config *config = NULL;
    write_mixer(mixer, 6 * RW_LANES, "", text, sizeof text); /* three panels, which threads share */
    RW_TRY(rw_config_parse(text, "a test", NULL, 0, &config));
    rw_status status = rw_config_check(config, (const rw_key *const[]){name_key, mixer->keys}, 2);
    if (status == RW_OK) status = mixer->build(graph, config, x, y);
    rw_config_destroy(&config);
    return status;
}

/* features -> linear | op or mixer | squared error, a block each, so that
 * recomputation has something to do. */
static rw_status build_around(rw_graph *graph, const test_subject *subject)
{
    const rw_linear_options in = {.name = "input", .width = TEST_WIDTH, .bias = true};
    rw_value features, x, y;
    RW_TRY(rw_features(graph, TEST_FEATURES, &features));
    RW_TRY(rw_linear(graph, features, &in, &x));
    rw_graph_begin_block(graph);
    RW_TRY(rw_graph_scope(graph, "subject."));
    RW_TRY(subject->op ? subject->op->sample(graph, x, &y)
                       : build_mixer(graph, subject->mixer, x, &y));
    if (subject->op && subject->op->is_loss) return RW_OK;
    rw_graph_begin_block(graph);
    RW_TRY(rw_graph_scope(graph, "output."));
    return rw_squared_error(graph, y, "head", TEST_FEATURES);
}

bool test_op_carries(const rw_op *op)
{
    return !op->global || op->global->past_rows;
}

static bool carries(const test_subject *subject)
{
    enum { ANY_CHUNK = 8 };
    rw_model *model;
    bool all = true;
    test_ok(test_model_new(subject, ANY_CHUNK, &model));
    for (int i = 0; i < rw_graph_nodes(model->graph); i++)
        all = all && test_op_carries(rw_graph_node(model->graph, i)->op);
    rw_model_destroy(&model);
    return all;
}

void test_skip_unless_carries(const test_subject *subject)
{
    if (!carries(subject)) skip();
}

/* A whole model; all mixers and both mlps, or an mlp alone for an objective. */
static rw_status build_whole(const test_subject *subject, int chunk, rw_model **out)
{
    char text[2048];
    rw_config *config = NULL;
    bool tokens = subject->format.vocab > 0;
    snprintf(text, sizeof text,
             "{width: 16, chunk: %d, dropout: %s, norm: %s, objective: %s, blocks: [", chunk,
             tokens ? "0.125" : "0", tokens ? "rms" : "layer",
             subject->objective ? subject->objective->name : "auto");
    for (int i = 0; !subject->objective && rw_mixer_registry[i]; i++) {
        if (subject->carrying && !carries(&(test_subject){.mixer = rw_mixer_registry[i]})) continue;
        write_mixer(rw_mixer_registry[i], 20, subject->bidirectional ? ", bidirectional: true" : "",
                    text, sizeof text);
        strncat(text, ", ", sizeof text - strlen(text) - 1);
    }
    strncat(text, "{mlp: swiglu}, {mlp: gelu}]}", sizeof text - strlen(text) - 1);
    RW_TRY(rw_config_parse(text, "a test", NULL, 0, &config));
    rw_status status = rw_model_new(config, &subject->format, SEED, true, out);
    rw_config_destroy(&config);
    return status;
}

rw_status test_model_new(const test_subject *subject, int chunk, rw_model **out)
{
    rw_graph *graph = NULL;
    *out = NULL;
    if (!subject->op && !subject->mixer) return build_whole(subject, chunk, out);
    RW_TRY(rw_graph_new(&graph));
    rw_status status = build_around(graph, subject);
    if (status == RW_OK) return rw_model_of_graph(graph, chunk, SEED, true, out);
    rw_graph_destroy(&graph);
    return status;
}

/* ---- Properties ------------------------------------------------------------ */

enum { MAX_SUBJECTS = 256, MAX_TESTS = 4096 };

typedef struct {
    const test_property *property;
    const test_subject *subject;
    char name[128];
} pairing;

static void check_pairing(void **state)
{
    const pairing *p = *state;
    rw_clear_message();
    p->property->check(p->subject);
}

int test_run_properties(const char *group, const test_property *properties, int count,
                        unsigned kinds)
{
    static test_subject subjects[MAX_SUBJECTS];
    static pairing pairings[MAX_TESTS];
    static struct CMUnitTest tests[MAX_TESTS];
    int subject_count = test_subjects(kinds, subjects, MAX_SUBJECTS), n = 0;
    if (subject_count == MAX_SUBJECTS || subject_count * count > MAX_TESTS) {
        fprintf(stderr, "%s: more tests than MAX_SUBJECTS and MAX_TESTS allow\n", group);
        return 1;
    }
    for (int i = 0; i < subject_count; i++)
        for (int k = 0; k < count; k++, n++) {
            pairing *p = &pairings[n];
            *p = (pairing){.property = &properties[k], .subject = &subjects[i]};
            snprintf(p->name, sizeof p->name, "%.63s: %.60s", subjects[i].name, properties[k].name);
            tests[n] = (struct CMUnitTest){
                .name = p->name, .test_func = check_pairing, .initial_state = p};
        }
    return _cmocka_run_group_tests(group, tests, (size_t)n, NULL, NULL);
}

/* ---- Data ----------------------------------------------------------------- */

static void allocate(long sequences, long rows, rw_batch *out)
{
    size_t n = (size_t)(sequences * rows);
    *out = (rw_batch){.sequences = sequences,
                      .rows = rows,
                      .feature_width = TEST_FEATURES,
                      .target_width = TEST_FEATURES};
    out->tokens = test_alloc(n, sizeof *out->tokens);
    out->targets = test_alloc(n, sizeof *out->targets);
    out->features = test_alloc(n * TEST_FEATURES, sizeof(real));
    out->target_features = test_alloc(n * TEST_FEATURES, sizeof(real));
}

static void count(rw_batch *batch)
{
    batch->counted = 0;
    for (long i = 0; i < batch->sequences * batch->rows; i++)
        batch->counted += batch->targets[i] != RW_IGNORE;
}

void test_batch_new(long sequences, long rows, rw_batch *out)
{
    rw_random tokens = rw_random_stream(SEED, RW_RANDOM_TEST, 1);
    rw_random targets = rw_random_stream(SEED, RW_RANDOM_TEST, 2);
    rw_random features = rw_random_stream(SEED, RW_RANDOM_TEST, 3);
    allocate(sequences, rows, out);
    for (long i = 0; i < sequences * rows; i++) {
        uint64_t first = (uint64_t)i * TEST_FEATURES;
        bool ignored = i % 7 == 3;
        out->tokens[i] = (int32_t)rw_random_below(tokens, (uint64_t)i, TEST_VOCAB);
        out->targets[i] =
            ignored ? RW_IGNORE : (int32_t)rw_random_below(targets, (uint64_t)i, TEST_VOCAB);
        for (uint64_t f = first; f < first + TEST_FEATURES; f++) {
            out->features[f] = (real)rw_random_normal(features, f);
            out->target_features[f] = ignored ? (real)NAN : (real)rw_random_normal(targets, f);
        }
    }
    count(out);
}

void test_batch_add_documents(rw_batch *batch)
{
    rw_random draws = rw_random_stream(SEED, RW_RANDOM_TEST, 4);
    long rows = batch->sequences * batch->rows, mean = 2;
    batch->starts = test_alloc((size_t)rows, 1);
    for (long i = batch->rows; i < rows;
         i += 1 + (long)rw_random_below(draws, (uint64_t)i, (uint64_t)mean)) {
        batch->starts[i] = 1;
        mean = mean % 199 + 60;
    }
}

void test_batch_part(const rw_batch *whole, rw_range sequences, rw_range rows, rw_batch *out)
{
    long n = rows.end - rows.begin;
    allocate(sequences.end - sequences.begin, n, out);
    if (whole->starts) out->starts = test_alloc((size_t)(out->sequences * n), 1);
    for (long b = 0; b < out->sequences; b++) {
        long from = (sequences.begin + b) * whole->rows + rows.begin, to = b * n;
        size_t reals = (size_t)n * TEST_FEATURES * sizeof(real);
        memcpy(out->tokens + to, whole->tokens + from, (size_t)n * sizeof *out->tokens);
        memcpy(out->targets + to, whole->targets + from, (size_t)n * sizeof *out->targets);
        if (whole->starts) memcpy(out->starts + to, whole->starts + from, (size_t)n);
        memcpy(out->features + to * TEST_FEATURES, whole->features + from * TEST_FEATURES, reals);
        memcpy(out->target_features + to * TEST_FEATURES,
               whole->target_features + from * TEST_FEATURES, reals);
    }
    count(out);
}

void test_batch_free(rw_batch *batch)
{
    rw_free(&batch->tokens);
    rw_free(&batch->targets);
    rw_free(&batch->features);
    rw_free(&batch->target_features);
    rw_free(&batch->starts);
}

rw_sequence test_batch_sequence(const rw_batch *batch, long index)
{
    long row = index * batch->rows;
    return (rw_sequence){.tokens = batch->tokens + row,
                         .targets = batch->targets + row,
                         .features = batch->features + row * TEST_FEATURES,
                         .target_features = batch->target_features + row * TEST_FEATURES};
}

/* ---- Everything for a step ------------------------------------------------- */

void test_rig_open(const test_subject *subject, const rw_plan_options *options, int threads,
                   test_rig *out)
{
    test_ok(rw_layout_alone(threads, &out->layout));
    test_ok(test_model_new(subject, options->chunk, &out->model));
    test_ok(rw_engine_new(out->model, &out->layout, options, &out->engine));
    test_batch_new(options->batch, options->length, &out->batch);
}

void test_rig_close(test_rig *rig)
{
    test_batch_free(&rig->batch);
    rw_engine_destroy(&rig->engine);
    rw_model_destroy(&rig->model);
    rw_layout_free(&rig->layout);
}

double test_rig_train(test_rig *rig)
{
    rw_loss loss;
    rw_engine_train(rig->engine, &rig->batch, SEED, 3, &loss);
    return loss.loss;
}

void test_updater_new(const rw_model *model, const rw_optimizer *optimizer, const char *keys,
                      const rw_layout *layout, rw_updater **out)
{
    rw_part *part = NULL;
    int count = rw_graph_params(model->graph);
    rw_trained *tensors;
    rw_config *config;
    char text[256];
    test_ok(rw_state_trained(model, 0.3, &tensors));
    snprintf(text, sizeof text, "{name: %s, %s}", optimizer->name, keys);
    test_ok(rw_config_parse(text, "a test", NULL, 0, &config));
    test_ok(rw_config_check(config, (const rw_key *const[]){rw_update_keys, optimizer->keys}, 2));
    if (layout) test_ok(rw_state_parts(model, layout, &part));
    test_ok(rw_updater_new(config, SEED, tensors, count, part, out));
    rw_free(&part);
    rw_config_destroy(&config);
    rw_free(&tensors);
}
