/* ropewalk data: builds, shows and verifies dataset files. */
#include <limits.h>
#include <math.h>

#include "base/memory.h"
#include "cli/action.h"
#include "data_pipeline/dataset.h"

/* Options without a letter. */
enum { KEY_HELDOUT_BY = 256, KEY_HELDOUT_FILES, KEY_FILES_FROM, KEY_SEED, KEY_FORCE };

typedef struct {
    rw_action_call call;
    rw_dataset_options options;
    const char **heldout_files; /* with room for as many as there are arguments */
} arguments;

static rw_status build(char **words, int count, const void *options)
{
    return rw_dataset_build(words[0], (const char *const *)words + 1, count - 1, options);
}

static rw_status info(char **words, int count, const void *options)
{
    (void)count, (void)options;
    return rw_dataset_info(words[0], stdout);
}

static rw_status verify(char **words, int count, const void *options)
{
    (void)count, (void)options;
    return rw_dataset_verify(words[0], stdout);
}

static const rw_action actions[] = {
    {"build", 1, INT_MAX, build},
    {"info", 1, 1, info},
    {"verify", 1, 1, verify},
    {0},
};

static const struct argp_option options[] = {
    {"format", 'f', "auto|text|jsonl|fasta|bytes", 0, "format of the inputs (auto)", 0},
    {"heldout", 'x', "X", 0, "share of the tokens for evaluation: 0 none, 1 all (0.1)", 0},
    {"heldout-by", KEY_HELDOUT_BY, "tail|document|shuffled", 0,
     "tail: the last tokens (default); document: whole documents at the end; shuffled: whole "
     "documents drawn by lot",
     0},
    {"seed", KEY_SEED, "S", 0, "of --heldout-by shuffled (1)", 0},
    {"heldout-files", KEY_HELDOUT_FILES, "INPUT", 0,
     "hold out this input, all of it, and nothing of the others; may be given again", 0},
    {"field", 'n', "NAME", 0, "jsonl: the field that holds the text (text); a.b: b in field a", 0},
    {"skip-bad", 's', NULL, 0,
     "leave out bad lines of jsonl and bad letters of fasta; say how many and where", 0},
    {"files-from", KEY_FILES_FROM, "FILE", 0,
     "names of further inputs, one a line; -: from standard input", 0},
    {"null", '0', NULL, 0, "names of --files-from end with zero bytes, as find -print0 writes", 0},
    {"append", 'a', NULL, 0, "add the inputs to OUT, if it exists", 0},
    {"force", KEY_FORCE, NULL, 0, "replace the file OUT", 0},
    {0},
};

static error_t parse_split(int key, char *argument, struct argp_state *state,
                           rw_dataset_options *chosen)
{
    int64_t seed = 0;
    error_t error;
    switch (key) {
    case 'x': /* the build reports values out of range */
        chosen->heldout_given = true;
        return rw_command_number(state, "heldout", argument, 0, INFINITY, &chosen->heldout);
    case KEY_SEED:
        chosen->seed_given = true;
        error = rw_command_count(state, "seed", argument, 0, &seed);
        chosen->seed = (uint64_t)seed;
        return error;
    default:
        chosen->heldout_by = argument;
        return 0;
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case 'f':
        a->options.format = argument;
        return 0;
    case 'n':
        a->options.field = argument;
        return 0;
    case 's':
        a->options.skip_bad = true;
        return 0;
    case 'x':
    case KEY_SEED:
    case KEY_HELDOUT_BY:
        return parse_split(key, argument, state, &a->options);
    case KEY_HELDOUT_FILES:
        a->heldout_files[a->options.heldout_file_count++] = argument;
        return 0;
    case KEY_FILES_FROM:
        a->options.files_from = argument;
        return 0;
    case '0':
        a->options.null = true;
        return 0;
    case 'a':
        a->options.append = true;
        return 0;
    case KEY_FORCE:
        a->options.replace = true;
        return 0;
    default:
        return rw_action_parse(key, state, &a->call);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "build OUT.h5 INPUT...\ninfo FILE\nverify FILE",
    .doc = "Builds a dataset from text, JSON lines or FASTA (files, folders, pipes, or - for "
           "standard input; plain, gzip, bzip2, xz or zstd), shows what is in one, or verifies "
           "every checksum of one.",
};

static rw_status run(int argc, char **argv)
{
    int stop;
    arguments a = {.call = {.table = actions},
                   .options = {.format = "auto", .heldout = 0.1, .field = "text", .seed = 1}};
    RW_TRY(rw_alloc((size_t)argc, sizeof(char *), "arguments", &a.heldout_files));
    a.options.heldout_files = a.heldout_files;
    rw_status status = rw_command_parse_alone(&argp, argc, argv, &a, &stop);
    if (status == RW_OK && !stop) status = rw_action_run(&a.call, &a.options);
    rw_free(&a.heldout_files);
    return status;
}

const rw_command rw_command_data = {
    .name = "data",
    .summary = "build, show or verify a dataset file",
    .run = run,
};
