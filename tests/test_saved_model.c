/* Trained models as eval and generate open them: with and without their dataset, from
 * checkpoints of this and of older versions. */
#include "tests/data_files.h"

#include <math.h>
#include <mpi.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "train/generation.h"
#include "train/saved_model.h"
#include "train/state.h"
#include "train/token_meaning.h"

static const char config_text[] =
    "model: {width: 8, chunk: 16, blocks: [{mixer: ssd, state: 4, heads: 2}]}\n"
    "data: {dataset: data.h5, length: 32, batch: 2}\n"
    "train: {steps: 1, seed: 3}\n";

/* The folder of a test is also the working directory. */
static int make_place(void **state)
{
    rw_log_speak(false);
    return make_folder(state) || chdir(folder);
}

static int remove_place(void **state)
{
    (void)state;
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") || system(command);
}

static void succeeds(rw_status status)
{
    assert_string_equal(rw_message(), "");
    assert_int_equal(status, RW_OK);
}

static void build_letters(const char *out, const char *text, double heldout)
{
    write_file("text.fa", text, strlen(text));
    succeeds(build_from(out, "text.fa", "fasta", heldout));
}

static void prepare(rw_settings *settings, rw_source **source, rw_model **model)
{
    succeeds(rw_settings_parse(config_text, "a test", NULL, 0, settings));
    succeeds(rw_source_open(settings->data, 3, source));
    succeeds(rw_model_new(settings->model, rw_source_format(*source), 3, false, model));
}

/* A checkpoint in run/checkpoints/step-00000001 of a model on data.h5. `says`: with what
 * the tokens are. The weights of parameter `bad` are no numbers. */
static void save_run(bool says, int bad)
{
    rw_settings settings;
    rw_source *source;
    rw_model *model;
    rw_state state;
    rw_layout layout;
    prepare(&settings, &source, &model);
    if (bad >= 0) model->weights[rw_graph_param_at(model->graph, bad)->offset] = (real)NAN;
    succeeds(rw_state_new(model, NULL, &state));
    succeeds(rw_layout_alone(1, &layout));
    rw_checkpoint_meta meta = {.step = 1,
                               .seed = 3,
                               .data_fingerprint = rw_source_fingerprint(source),
                               .dp = 1,
                               .sp = 1,
                               .threads = 1,
                               .config = config_text,
                               .model = model->identity};
    if (says) meta.tokens = rw_tokens_of(source);
    succeeds(rw_checkpoint_save(&layout, "run/checkpoints", &meta, state.tensors, state.count, 2));
    rw_layout_free(&layout);
    rw_state_free(&state);
    rw_model_destroy(&model);
    rw_source_close(&source);
    rw_settings_free(&settings);
}

static rw_status open_run(bool evaluates, const char *data, rw_saved_part part, rw_saved_model *out)
{
    const rw_saved_model_options options = {
        .path = "run", .evaluates = evaluates, .data = data, .part = part};
    return rw_saved_model_open(&options, out);
}

static void refuses(bool evaluates, const char *data, const char *says)
{
    rw_saved_model saved;
    rw_status status = open_run(evaluates, data, RW_PART_DEFAULT, &saved);
    rw_saved_model_free(&saved);
    assert_message(status, RW_ERROR, says);
}

/* Generates this text; where `wanted` is empty, puts it there. */
static void generates(char wanted[64])
{
    rw_saved_model saved;
    const rw_generation_options options = {
        .tokens = 12, .choice = {.temperature = 1, .top_p = 1}, .seed = 5, .samples = 1};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    succeeds(open_run(false, NULL, RW_PART_DEFAULT, &saved));
    succeeds(rw_generate(&saved, &options, out));
    fclose(out);
    if (!wanted[0]) snprintf(wanted, 64, "%s", text);
    assert_string_equal(text, wanted);
    free(text);
    rw_saved_model_free(&saved);
}

static const char genome[] =
    ">g\nACGTACGTTTGACCAGTACCAGTAGATTACAACCGGTTAACGTACGATCGATCGACTAGCTAGCTACGA\n";

/* The checkpoint alone is enough to generate; of an older one the dataset is needed. */
static void tokens_are_in_the_checkpoint(void **state)
{
    (void)state;
    char text[64] = "";
    build_letters("data.h5", genome, 0.3);
    save_run(true, -1);
    generates(text);
    assert_int_equal(strspn(text, "ACGT"), 13);
    assert_int_equal(rename("data.h5", "away.h5"), 0);
    generates(text);
    refuses(true, NULL, "data.h5 of the run is neither in the working directory nor in run");
    assert_int_equal(rename("away.h5", "data.h5"), 0);

    save_run(false, -1); /* in the place of the other: an older program wrote it */
    generates(text);
    assert_int_equal(rename("data.h5", "away.h5"), 0);
    refuses(false, NULL, "what the tokens of this older checkpoint are");
    refuses(false, NULL, "--data FILE");
    rw_saved_model saved;
    succeeds(open_run(false, "away.h5", RW_PART_DEFAULT, &saved));
    assert_string_equal(saved.tokens.kind, "letters");
    assert_string_equal(saved.tokens.alphabet, "ACGT");
    rw_saved_model_free(&saved);
}

static void read_heldout(const rw_saved_model *saved, long count, int32_t *tokens)
{
    int32_t targets[32];
    rw_sequence sequence = {.tokens = tokens, .targets = targets};
    succeeds(rw_source_read(saved->source, RW_HELDOUT, 0, 0, count, &sequence));
}

/* Letters of another file are numbered as the model numbers them. */
static void other_files_are_read_as_the_model_reads(void **state)
{
    (void)state;
    static const int32_t wanted[] = {2, 3, 3, 0};
    int32_t tokens[32];
    rw_saved_model saved;
    build_letters("data.h5", genome, 0.3);
    build_letters("few.h5", ">x\nGTTA\n", 0);
    build_letters("many.h5", ">x\nGTTANAC\n", 0);
    save_run(true, -1);
    succeeds(open_run(true, "few.h5", RW_PART_DEFAULT, &saved));
    assert_true(saved.all);
    assert_int_equal(rw_source_heldout_targets(saved.source), 3);
    read_heldout(&saved, 4, tokens);
    assert_memory_equal(tokens, wanted, sizeof wanted);
    rw_saved_model_free(&saved);
    refuses(true, "many.h5",
            "(the alphabet ACGTN) than the model was trained on (the alphabet ACGT)");
    refuses(false, "many.h5", "another vocabulary");
}

/* The run's own data by its path and by its content; other data in its place. */
static void parts_of_data(void **state)
{
    (void)state;
    rw_saved_model saved;
    build_letters("data.h5", genome, 0.3);
    build_letters("copy.h5", genome, 0.3);
    build_letters("split.h5", genome, 0.5);
    save_run(true, -1);
    static const struct {
        const char *data;
        rw_saved_part part;
        bool all;
    } cases[] = {
        {NULL, RW_PART_DEFAULT, false},      {NULL, RW_PART_ALL, true},
        {"data.h5", RW_PART_DEFAULT, false}, {"copy.h5", RW_PART_DEFAULT, false},
        {"split.h5", RW_PART_DEFAULT, true}, {"split.h5", RW_PART_HELDOUT, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        succeeds(open_run(true, cases[i].data, cases[i].part, &saved));
        assert_int_equal(saved.all, cases[i].all);
        assert_int_equal(rw_source_heldout_targets(saved.source) == 68, cases[i].all);
        rw_saved_model_free(&saved);
    }
    assert_int_equal(rename("split.h5", "data.h5"), 0);
    refuses(true, NULL, "data.h5 is not the dataset that the run was trained on");
    succeeds(open_run(true, "data.h5", RW_PART_DEFAULT, &saved));
    assert_false(saved.all); /* named by its place: what it holds out */
    rw_saved_model_free(&saved);
}

/* The dataset of the run is told from others of the same name. */
static void the_right_file_is_found(void **state)
{
    (void)state;
    rw_saved_model saved;
    build_letters("data.h5", genome, 0.3);
    save_run(true, -1);
    assert_int_equal(mkdir("here", 0777), 0);
    build_letters("here/data.h5", ">x\nACGTACGTACGTAC\n", 0.3);
    assert_int_equal(chdir("here"), 0);
    const rw_saved_model_options options = {.path = "../run", .evaluates = true};
    succeeds(rw_saved_model_open(&options, &saved));
    assert_non_null(strstr(rw_source_name(saved.source), in_folder("data.h5")));
    rw_saved_model_free(&saved);
    assert_int_equal(chdir(folder), 0);
}

/* Weights that are no numbers give no figures and no text. */
static void weights_must_be_finite(void **state)
{
    (void)state;
    build_letters("data.h5", genome, 0.3);
    for (int bad = 0; bad < 3; bad++) {
        save_run(true, bad);
        refuses(false, NULL, "are not finite (param/");
        refuses(true, NULL, "use an earlier checkpoint");
    }
}

/* Whichever allocation fails, nothing stays behind. */
static void failing_allocations(void **state)
{
    (void)state;
    build_letters("data.h5", genome, 0.3);
    save_run(true, -1);
    size_t before = rw_memory_in_use();
    for (long n = 1;; n++) {
        rw_saved_model saved;
        rw_memory_fail_after(n);
        rw_status status = open_run(true, NULL, RW_PART_DEFAULT, &saved);
        rw_memory_fail_after(0);
        rw_saved_model_free(&saved);
        rw_clear_message();
        assert_int_equal(rw_memory_in_use(), before);
        if (status == RW_OK) break;
        assert_true(n < 10000);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tokens_are_in_the_checkpoint, make_place, remove_place),
        cmocka_unit_test_setup_teardown(other_files_are_read_as_the_model_reads, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(parts_of_data, make_place, remove_place),
        cmocka_unit_test_setup_teardown(the_right_file_is_found, make_place, remove_place),
        cmocka_unit_test_setup_teardown(weights_must_be_finite, make_place, remove_place),
        cmocka_unit_test_setup_teardown(failing_allocations, make_place, remove_place),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
