/* ropewalk data: builds, shows and verifies dataset files. */
#include <errno.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "data_pipeline/dataset.h"

typedef struct {
    const char *action;
    int least, most; /* words after the action; most < 0: any number */
    const char *usage;
    rw_status (*run)(char **words, int count, const rw_dataset_options *options);
} data_action;

typedef struct {
    const data_action *action;
    char **words; /* after the action */
    int count;
    rw_dataset_options options;
} data_arguments;

static rw_status run_build(char **words, int count, const rw_dataset_options *options)
{
    return rw_dataset_build(words[0], (const char *const *)words + 1, count - 1, options);
}

static rw_status run_info(char **words, int count, const rw_dataset_options *options)
{
    (void)count;
    (void)options;
    return rw_dataset_info(words[0], stdout);
}

static rw_status run_verify(char **words, int count, const rw_dataset_options *options)
{
    (void)count;
    (void)options;
    return rw_dataset_verify(words[0], stdout);
}

static const data_action actions[] = {
    {"build", 2, -1, "build OUT.h5 INPUT...", run_build},
    {"info", 1, 1, "info FILE", run_info},
    {"verify", 1, 1, "verify FILE", run_verify},
};

static const struct argp_option options[] = {
    {"format", 'f', "F", 0, "format of the inputs: auto (default), text, jsonl or fasta", 0},
    {"heldout", 'x', "X", 0, "share of the tokens, at the end, for evaluation (0.1)", 0},
    {"field", 'n', "NAME", 0, "jsonl: the field that holds the text (text)", 0},
    {0},
};

static error_t parse_heldout(const char *text, struct argp_state *state, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out >= 0 && *out < 1)) {
        argp_error(state, "--heldout '%s': a number of at least 0 and below 1 is needed", text);
        return EINVAL;
    }
    return 0;
}

static error_t parse_words(data_arguments *arguments, char **words, int count,
                           struct argp_state *state)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(words[0], actions[i].action) == 0) arguments->action = &actions[i];
    const data_action *action = arguments->action;
    if (!action) {
        argp_error(state, "'%s' is not an action of data: build, info or verify", words[0]);
        return EINVAL;
    }
    arguments->words = words + 1;
    arguments->count = count - 1;
    if (count - 1 < action->least || (action->most >= 0 && count - 1 > action->most)) {
        argp_error(state, "usage: data %s", action->usage);
        return EINVAL;
    }
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    data_arguments *arguments = state->input;
    switch (key) {
    case 'f':
        arguments->options.format = argument;
        return 0;
    case 'x':
        return parse_heldout(argument, state, &arguments->options.heldout);
    case 'n':
        arguments->options.field = argument;
        return 0;
    case ARGP_KEY_ARGS:
        return parse_words(arguments, state->argv + state->next, state->argc - state->next, state);
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "what to do? data build, data info or data verify");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
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
    int stop = 0, rank;
    data_arguments arguments = {.options = {.format = "auto", .heldout = 0.1, .field = "text"}};
    RW_TRY(rw_command_parse(&argp, argc, argv, &arguments, &stop));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (stop || rank != 0) return RW_OK;
    return arguments.action->run(arguments.words, arguments.count, &arguments.options);
}

const rw_command rw_command_data = {
    .name = "data",
    .summary = "build, show or verify a dataset file",
    .run = run,
};
