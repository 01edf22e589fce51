#include <limits.h>
#include <math.h>
#include <stdio.h>

#include "cli/command.h"
#include "train/generation.h"

enum { OPTION_SEED = 256 };

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "Text to continue", 0},
    {"tokens", 'n', "N", 0, "Tokens to generate (default 200)", 0},
    {"temperature", 't', "T", 0, "Randomness: 0 always takes the likeliest (default 1)", 0},
    {"top-k", 'k', "K", 0, "Choose among the K likeliest tokens (default: all)", 0},
    {"seed", OPTION_SEED, "S", 0, "Seed of the choice (default 1)", 0},
    {0},
};

typedef struct {
    const char *path;
    rw_generation_options generation;
} arguments;

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    rw_generation_options *g = &a->generation;
    int64_t n = 0;
    error_t error = 0;
    switch (key) {
    case 'p':
        g->prompt = value;
        return 0;
    case 'n':
        error = rw_command_count(state, "tokens", value, 0, &n);
        g->tokens = n;
        return error;
    case 't':
        return rw_command_number(state, "temperature", value, 0, INFINITY, &g->temperature);
    case 'k':
        error = rw_command_count(state, "top-k", value, 0, &n);
        g->top_k = n < INT_MAX ? (int)n : INT_MAX;
        return error;
    case OPTION_SEED:
        error = rw_command_count(state, "seed", value, 0, &n);
        g->seed = (uint64_t)n;
        return error;
    default:
        return rw_command_argument(key, value, state, "which run folder or checkpoint?", &a->path);
    }
}

static const struct argp generate_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RUN_OR_CHECKPOINT",
    .doc = "Continues a text, token by token, from the recurrent form of the model: memory does "
           "not grow with the length. Runs on one rank.",
};

static rw_status run(int argc, char **argv)
{
    arguments a = {.generation = {.prompt = "\n", .tokens = 200, .temperature = 1, .seed = 1}};
    int stop;
    RW_TRY(rw_command_parse_alone(&generate_argp, argc, argv, &a, &stop));
    if (stop) return RW_OK;
    rw_saved_model saved;
    rw_status status = rw_saved_model_open(a.path, NULL, 0, &saved);
    if (status == RW_OK) status = rw_generate(&saved, &a.generation, stdout);
    rw_saved_model_free(&saved);
    return status;
}

const rw_command rw_command_generate = {
    .name = "generate",
    .summary = "Continue a text with a trained model",
    .run = run,
};
