#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/command.h"
#include "cli/prompt_file.h"
#include "train/generation.h"

enum { OPTION_SEED = 256, OPTION_FILE, OPTION_TOP_P, OPTION_SAMPLES, OPTION_RAW, OPTION_DATA };

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "Text to continue (default: a line end, or the first letter)", 0},
    {"prompt-file", OPTION_FILE, "FILE", 0,
     "Text to continue: all bytes of a file; - is standard input", 0},
    {"tokens", 'n', "N", 0, "Tokens to generate (default 200)", 0},
    {"temperature", 't', "T", 0, "Randomness: 0 always takes the likeliest (default 1)", 0},
    {"top-k", 'k', "K", 0, "Choose among the K likeliest tokens (default: all)", 0},
    {"top-p", OPTION_TOP_P, "P", 0,
     "Choose among the smallest set of likeliest tokens with a total probability of at least P "
     "(default 1: all)",
     0},
    {"seed", OPTION_SEED, "S", 0, "Seed of the choice (default 1)", 0},
    {"samples", OPTION_SAMPLES, "N", 0, "Continue the prompt N times, with different choices", 0},
    {"raw", OPTION_RAW, NULL, 0, "Write all bytes as they are, to a terminal too", 0},
    {"data", OPTION_DATA, "FILE", 0,
     "The dataset of the run; needed only for checkpoints of older versions", 0},
    {0},
};

typedef struct {
    rw_saved_model_options model;
    rw_generation_options generation;
    const char *prompt_file;
    int raw;
} arguments;

static error_t parse_share(struct argp_state *state, const char *value, double *out)
{
    error_t error = rw_command_number(state, "top-p", value, 0, INFINITY, out);
    if (error || *out <= 1) return error;
    argp_error(state, "--top-p takes a number of at most 1, not %s", value);
    return EINVAL;
}

static error_t parse_count(struct argp_state *state, const char *option, const char *value,
                           int64_t least, long *out)
{
    int64_t n = 0;
    error_t error = rw_command_count(state, option, value, least, &n);
    *out = n < LONG_MAX ? (long)n : LONG_MAX;
    return error;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    rw_generation_options *g = &a->generation;
    long n = 0;
    error_t error = 0;
    switch (key) {
    case 'p':
        g->prompt = value;
        g->prompt_size = strlen(value);
        return 0;
    case OPTION_FILE:
        a->prompt_file = value;
        return 0;
    case 'n':
        return parse_count(state, "tokens", value, 0, &g->tokens);
    case 't':
        return rw_command_number(state, "temperature", value, 0, INFINITY, &g->choice.temperature);
    case 'k':
        error = parse_count(state, "top-k", value, 0, &n);
        g->choice.top_k = n < INT_MAX ? (int)n : INT_MAX;
        return error;
    case OPTION_TOP_P:
        return parse_share(state, value, &g->choice.top_p);
    case OPTION_SEED:
        error = parse_count(state, "seed", value, 0, &n);
        g->seed = (uint64_t)n;
        return error;
    case OPTION_SAMPLES:
        return parse_count(state, "samples", value, 1, &g->samples);
    case OPTION_RAW:
        a->raw = 1;
        return 0;
    case OPTION_DATA:
        a->model.data = value;
        return 0;
    default:
        return rw_command_argument(key, value, state, "which run folder or checkpoint?",
                                   &a->model.path);
    }
}

static const struct argp generate_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RUN_OR_CHECKPOINT",
    .doc = "Continues a text, token by token, from the recurrent form of the model: memory does "
           "not grow with the length. Runs on one rank, and needs no dataset. On a terminal, "
           "control characters and bytes that are not UTF-8 text appear as \\xNN; a pipe or file "
           "gets all bytes as they are.",
};

static rw_status continue_prompt(const arguments *a)
{
    rw_saved_model saved;
    rw_status status = rw_saved_model_open(&a->model, &saved);
    if (status == RW_OK) status = rw_generate(&saved, &a->generation, stdout);
    rw_saved_model_free(&saved);
    return status;
}

static rw_status run(int argc, char **argv)
{
    arguments a = {
        .generation = {
            .tokens = 200, .choice = {.temperature = 1, .top_p = 1}, .seed = 1, .samples = 1}};
    int stop;
    char *text = NULL;
    RW_TRY(rw_command_parse_alone(&generate_argp, argc, argv, &a, &stop));
    if (stop) return RW_OK;
    a.generation.escape = !a.raw && isatty(STDOUT_FILENO);
    if (a.prompt_file && a.generation.prompt)
        return rw_fail(RW_USAGE, "both --prompt and --prompt-file; give one of them");
    if (a.prompt_file) {
        RW_TRY(rw_prompt_file_read(a.prompt_file, &text, &a.generation.prompt_size));
        a.generation.prompt = text;
    }
    rw_status status = continue_prompt(&a);
    rw_free(&text);
    return status;
}

const rw_command rw_command_generate = {
    .name = "generate",
    .summary = "Continue a text with a trained model",
    .run = run,
};
