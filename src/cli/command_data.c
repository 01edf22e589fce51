/* ropewalk data: builds, shows and verifies dataset files. */
#include <limits.h>

#include "cli/action.h"
#include "data_pipeline/dataset.h"

typedef struct {
    rw_action_call call;
    rw_dataset_options options;
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
    {"build", 2, INT_MAX, build},
    {"info", 1, 1, info},
    {"verify", 1, 1, verify},
    {0},
};

static const struct argp_option options[] = {
    {"format", 'f', "F", 0, "format of the inputs: auto (default), text, jsonl or fasta", 0},
    {"heldout", 'x', "X", 0, "share of the tokens, at the end, for evaluation (0.1)", 0},
    {"field", 'n', "NAME", 0, "jsonl: the field that holds the text (text)", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case 'f':
        a->options.format = argument;
        return 0;
    case 'x':
        return rw_command_number(state, "heldout", argument, 0, 1, &a->options.heldout);
    case 'n':
        a->options.field = argument;
        return 0;
    default:
        return rw_action_parse(key, state, &a->call);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "build OUT.h5 INPUT...\ninfo FILE\nverify FILE",
    .doc = "Builds a dataset from text, JSON lines or FASTA files (plain, .gz or .zst), shows what "
           "is in one, or verifies every checksum of one.",
};

static rw_status run(int argc, char **argv)
{
    int stop;
    arguments a = {.call = {.table = actions},
                   .options = {.format = "auto", .heldout = 0.1, .field = "text"}};
    RW_TRY(rw_command_parse_alone(&argp, argc, argv, &a, &stop));
    return stop ? RW_OK : rw_action_run(&a.call, &a.options);
}

const rw_command rw_command_data = {
    .name = "data",
    .summary = "build, show or verify a dataset file",
    .run = run,
};
