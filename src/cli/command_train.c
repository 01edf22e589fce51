#include "cli/command.h"
#include "cli/overrides.h"
#include "train/trainer.h"

enum { OPTION_DP = 256, OPTION_SP, OPTION_THREADS, OPTION_STOP, OPTION_RESUME, OPTION_FORCE };

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
     "the checkpoint at PATH",
     0},
    {"force", OPTION_FORCE, NULL, 0, "Replace files in the run folder that ropewalk did not write",
     0},
    {0},
};

typedef struct {
    rw_train_options train;
    rw_overrides overrides;
} arguments;

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    error_t error;
    int64_t step;
    switch (key) {
    case 'r':
        a->train.run_dir = value;
        return 0;
    case 's':
        return rw_overrides_add(&a->overrides, NULL, value);
    case OPTION_DP:
        return rw_overrides_add(&a->overrides, "parallel.dp", value);
    case OPTION_SP:
        return rw_overrides_add(&a->overrides, "parallel.sp", value);
    case OPTION_THREADS:
        return rw_overrides_add(&a->overrides, "parallel.threads", value);
    case OPTION_RESUME:
        a->train.resume = value;
        return 0;
    case OPTION_FORCE:
        a->train.force = true;
        return 0;
    case OPTION_STOP:
        error = rw_command_count(state, "stop-at", value, 1, &step);
        a->train.stop_at = (uint64_t)step;
        return error;
    default:
        return rw_command_argument(key, value, state,
                                   "which configuration? e.g. examples/quickstart.yaml",
                                   &a->train.config);
    }
}

static const struct argp train_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "CONFIG.yaml",
    .doc =
        "Trains a model. Run it alone, under mpirun -n N, or under srun. SIGTERM, SIGINT (Ctrl-C), "
        "SIGUSR1, SIGHUP and SIGXCPU make it write a checkpoint after the step under way, or "
        "with train.accumulate at the next micro-batch, and exit with 75; the same "
        "command then continues, on any number of ranks, with the same bits. A second Ctrl-C "
        "ends it at once.\v"
        "After SIGTERM or Ctrl-C mpirun kills its ranks 1 s after it has told them. Where a "
        "micro-batch and a checkpoint take longer, stop it with USR1 (kill -USR1 MPIRUN), which "
        "it passes on at once and does not follow up; or set "
        "OMPI_MCA_odls_base_sigkill_timeout=60 (seconds) in its environment: it then tells the "
        "ranks after 60 s, and kills them after 60 more.\n\n"
        "One process writes a run folder at a time: DIR/train.lock says which one. Files in "
        "it that ropewalk did not write are replaced only with --force.",
};

static rw_status run(int argc, char **argv)
{
    arguments a = {.train = {.resume = "auto"}};
    int stop;
    rw_status status = rw_command_parse(&train_argp, argc, argv, &a, &stop);
    if (status == RW_OK) status = a.overrides.status;
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
