#include <stdlib.h>

#include "cli/command.h"
#include "cli/overrides.h"
#include "train/trainer.h"

enum { OPTION_DP = 256, OPTION_SP, OPTION_THREADS, OPTION_STOP, OPTION_RESUME };

static const struct argp_option options[] = {
    {"run-dir", 'r', "DIR", 0, "Run folder (default: runs/NAME of the configuration)", 0},
    {"set", 's', "KEY=VALUE", 0, "Override a key of the configuration, e.g. model.width=128", 0},
    {"dp", OPTION_DP, "N", 0, "Ranks that share the batch (parallel.dp)", 0},
    {"sp", OPTION_SP, "N", 0, "Ranks that share each sequence (parallel.sp)", 0},
    {"threads", OPTION_THREADS, "N", 0, "OpenMP threads of each rank (parallel.threads)", 0},
    {"stop-at", OPTION_STOP, "N", 0,
     "End after step N with a checkpoint; the schedule keeps its horizon, train.steps", 0},
    {"resume", OPTION_RESUME, "auto|never|PATH", 0,
     "Continue the run folder's newest checkpoint (auto, the default), start anew, or start from "
     "the checkpoint at PATH", 0},
    {0},
};

typedef struct {
    rw_train_options train;
    rw_overrides overrides;
    rw_status status;
} arguments;

static void take(arguments *a, const char *key, const char *value)
{
    if (a->status == RW_OK) a->status = rw_overrides_add(&a->overrides, key, value);
}

/* strtoull would take a minus sign and wrap around. */
static error_t parse_step(const char *text, struct argp_state *state, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && !*end && *out) return 0;
    argp_error(state, "--stop-at takes a step number of at least 1, not %s", text);
    return EINVAL;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case 'r': a->train.run_dir = value; return 0;
    case 's': take(a, NULL, value); return 0;
    case OPTION_DP: take(a, "parallel.dp", value); return 0;
    case OPTION_SP: take(a, "parallel.sp", value); return 0;
    case OPTION_THREADS: take(a, "parallel.threads", value); return 0;
    case OPTION_RESUME: a->train.resume = value; return 0;
    case OPTION_STOP: return parse_step(value, state, &a->train.stop_at);
    case ARGP_KEY_ARG:
        if (a->train.config) return ARGP_ERR_UNKNOWN;
        a->train.config = value;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which configuration? e.g. examples/quickstart.yaml"); return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp train_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "CONFIG.yaml",
    .doc = "Trains a model. Run it alone, under mpirun -n N, or under srun. SIGTERM and SIGUSR1 "
           "make it write a checkpoint after the step under way and exit with 75; the same "
           "command then continues, on any number of ranks, with the same bits.",
};

static rw_status run(int argc, char **argv)
{
    arguments a = {.train = {.resume = "auto"}};
    int stop = 0;
    rw_status status = rw_command_parse(&train_argp, argc, argv, &a, &stop);
    if (status == RW_OK) status = a.status;
    if (status == RW_OK && !stop) {
        a.train.overrides = a.overrides.text;
        a.train.override_count = a.overrides.count;
        status = rw_train(&a.train);
    }
    rw_overrides_free(&a.overrides);
    return status;
}

const rw_command rw_command_train = {
    .name = "train",
    .summary = "Train a model from a configuration",
    .run = run,
};
