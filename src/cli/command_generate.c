#include <errno.h>
#include <limits.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

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

static error_t real_number(struct argp_state *state, const char *name, const char *text,
                           double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (*text && !*end && *out >= 0 && isfinite(*out)) return 0;
    argp_error(state, "--%s takes a number of at least 0, not %s", name, text);
    return EINVAL;
}

static error_t whole_number(struct argp_state *state, const char *name, const char *text,
                            long long most, long long *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (*text && !*end && !errno && *out >= 0 && *out <= most) return 0;
    argp_error(state, "--%s takes a whole number of at least 0, not %s", name, text);
    return EINVAL;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    rw_generation_options *g = &a->generation;
    long long n = 0;
    error_t error = 0;
    switch (key) {
    case 'p':
        g->prompt = value;
        return 0;
    case 'n':
        error = whole_number(state, "tokens", value, LONG_MAX, &n);
        g->tokens = (long)n;
        return error;
    case 't':
        return real_number(state, "temperature", value, &g->temperature);
    case 'k':
        error = whole_number(state, "top-k", value, INT_MAX, &n);
        g->top_k = (int)n;
        return error;
    case OPTION_SEED:
        error = whole_number(state, "seed", value, LLONG_MAX, &n);
        g->seed = (uint64_t)n;
        return error;
    case ARGP_KEY_ARG:
        if (a->path) return ARGP_ERR_UNKNOWN;
        a->path = value;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which run folder or checkpoint?");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
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
    int stop = 0, rank = 0;
    RW_TRY(rw_command_parse(&generate_argp, argc, argv, &a, &stop));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (stop || rank != 0) return RW_OK;
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
