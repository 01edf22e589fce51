#include <stdbool.h>
#include <string.h>

#include "cli/command.h"
#include "cli/overrides.h"
#include "train/trainer.h"

enum {
    OPTION_DP = 256,
    OPTION_SP,
    OPTION_THREADS,
    OPTION_STOP,
    OPTION_RESUME,
    OPTION_INIT,
    OPTION_INIT_ONLY,
    OPTION_INIT_SKIP,
    OPTION_FORCE
};

static const struct argp_option options[] = {
    {"run-dir", 'r', "DIR", 0, "Run folder (default: runs/NAME of the configuration)", 0},
    {"set", 's', "KEY=VALUE", 0,
     "Override a key of the configuration, e.g. model.width=128; `ropewalk config` lists the keys",
     0},
    {"dp", OPTION_DP, "N", 0, "Ranks that share the batch (parallel.dp)", 0},
    {"sp", OPTION_SP, "N", 0, "Ranks that share each sequence (parallel.sp)", 0},
    {"threads", OPTION_THREADS, "N", 0, "OpenMP threads of each rank (parallel.threads)", 0},
    {"stop-at", OPTION_STOP, "N", 0,
     "End after step N with a checkpoint (0: of the initial weights); the schedule keeps its "
     "horizon, train.steps",
     0},
    {"resume", OPTION_RESUME, "auto|never|PATH", 0,
     "Continue the run folder's newest checkpoint (auto, the default), start anew (what is in the "
     "folder is moved to DIR/earlier.N), or continue the checkpoint at PATH",
     0},
    {"init", OPTION_INIT, "RUN", 0,
     "Begin a new run with the weights of a run or checkpoint: step 0, new optimizer and schedule. "
     "A run folder that has checkpoints is continued as usual",
     0},
    {"init-only", OPTION_INIT_ONLY, "GLOB", 0,
     "Of --init, take the weights whose names match, e.g. 'blocks.*' (repeatable)", 0},
    {"init-skip", OPTION_INIT_SKIP, "GLOB", 0,
     "Of --init, leave the weights whose names match: they begin as new (repeatable)", 0},
    {"force", OPTION_FORCE, NULL, 0, "Replace files in the run folder that ropewalk did not write",
     0},
    {0},
};

typedef struct {
    rw_train_options train;
    rw_overrides overrides;
    rw_overrides only, skip; /* lists of patterns */
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
    case OPTION_INIT:
        a->train.init = value;
        return 0;
    case OPTION_INIT_ONLY:
        return rw_overrides_add(&a->only, NULL, value);
    case OPTION_INIT_SKIP:
        return rw_overrides_add(&a->skip, NULL, value);
    case OPTION_FORCE:
        a->train.force = true;
        return 0;
    case OPTION_STOP:
        error = rw_command_count(state, "stop-at", value, 0, &step);
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
    .doc = "Trains a model. Run train alone, under mpirun -n N, or under srun. SIGTERM, SIGINT "
           "(Ctrl-C), "
           "SIGUSR1, SIGHUP and SIGXCPU make train write a checkpoint after the step in flight, or "
           "with train.accumulate at the next micro-batch, and exit with 75; the same "
           "command then continues, on any number of ranks, with the same bits. A second Ctrl-C "
           "ends train at once.\v"
           "After SIGTERM or Ctrl-C mpirun kills its ranks 1 s after their SIGTERM. If a "
           "micro-batch and a checkpoint take longer, stop mpirun with USR1 (kill -USR1 MPIRUN): "
           "mpirun passes USR1 on at once and sends no further signal. Or set "
           "OMPI_MCA_odls_base_sigkill_timeout=60 (seconds) in the environment of mpirun: the "
           "ranks then get SIGTERM after 60 s, and are killed after 60 s more.\n\n"
           "One process writes a run folder at a time: DIR/train.lock names the process. Files in "
           "the run folder that ropewalk did not write are replaced only with --force.",
};

static rw_status check(const arguments *a)
{
    const char *resume = a->train.resume;
    bool path = strcmp(resume, "auto") != 0 && strcmp(resume, "never") != 0;
    RW_TRY(a->overrides.status);
    RW_TRY(a->only.status);
    RW_TRY(a->skip.status);
    if (!a->train.init && (a->only.count || a->skip.count))
        return rw_fail(RW_USAGE,
                       "--init-only and --init-skip choose among the weights of --init RUN: "
                       "give that, too");
    if (a->train.init && path)
        return rw_fail(RW_USAGE, "--resume PATH continues a run, --init RUN begins a new one: give "
                                 "one of them");
    return RW_OK;
}

static rw_status run(int argc, char **argv)
{
    arguments a = {.train = {.resume = "auto", .stop_at = RW_NO_STOP}};
    int stop;
    rw_status status = rw_command_parse(&train_argp, argc, argv, &a, &stop);
    if (status == RW_OK) status = check(&a);
    if (status == RW_OK && !stop) {
        a.train.overrides = a.overrides.text;
        a.train.override_count = a.overrides.count;
        a.train.init_only = a.only.text;
        a.train.init_only_count = a.only.count;
        a.train.init_skip = a.skip.text;
        a.train.init_skip_count = a.skip.count;
        status = rw_train(&a.train);
    }
    rw_overrides_free(&a.overrides);
    rw_overrides_free(&a.only);
    rw_overrides_free(&a.skip);
    return status;
}

const rw_command rw_command_train = {
    .name = "train",
    .summary = "Train a model from a configuration",
    .run = run,
};
