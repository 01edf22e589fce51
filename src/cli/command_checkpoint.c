/* ropewalk checkpoint: looks at checkpoints, proves them, exports weights. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <mpi.h>

#include "checkpoints/checkpoint.h"
#include "cli/command.h"

#define PATHS_MAX 2

typedef struct {
    const char *action;
    const char *paths[PATHS_MAX];
    int count;
} arguments;

static rw_status list_to_stdout(const arguments *given)
{
    return rw_checkpoint_list(given->paths[0], stdout);
}

static rw_status show_to_stdout(const arguments *given)
{
    return rw_checkpoint_show(given->paths[0], stdout);
}

static rw_status verify_to_stdout(const arguments *given)
{
    return rw_checkpoint_verify(given->paths[0], stdout);
}

static rw_status digest_to_stdout(const arguments *given)
{
    return rw_checkpoint_digest(given->paths[0], stdout);
}

static rw_status export_to_file(const arguments *given)
{
    return rw_checkpoint_export(given->paths[0], given->paths[1]);
}

static const struct {
    const char *name;
    int paths;
    rw_status (*run)(const arguments *given);
} actions[] = {
    {"list", 1, list_to_stdout},     {"show", 1, show_to_stdout},   {"verify", 1, verify_to_stdout},
    {"digest", 1, digest_to_stdout}, {"export", 2, export_to_file},
};
#define ACTIONS (int)(sizeof actions / sizeof actions[0])

/* Index of the action of this name, or -1. */
static int find_action(const char *name)
{
    for (int i = 0; name && i < ACTIONS; i++)
        if (strcmp(actions[i].name, name) == 0) return i;
    return -1;
}

static error_t take_end(const arguments *given, struct argp_state *state)
{
    int action = find_action(given->action);
    if (!given->action)
        argp_error(state, "what to do is missing: list, show, verify, digest or export");
    else if (action < 0)
        argp_error(state, "unknown action %s: list, show, verify, digest or export", given->action);
    else if (given->count != actions[action].paths)
        argp_error(state, "%s wants %d path%s, %d given", given->action, actions[action].paths,
                   actions[action].paths == 1 ? "" : "s", given->count);
    else
        return 0;
    return EINVAL;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    arguments *given = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (!given->action)
            given->action = argument;
        else if (given->count++ < PATHS_MAX)
            given->paths[given->count - 1] = argument;
        return 0;
    case ARGP_KEY_END:
        return take_end(given, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "list DIR\nshow PATH\nverify PATH\ndigest PATH\nexport PATH OUT",
    .doc = "Look at checkpoints. PATH is a checkpoint (step-N), a folder of checkpoints, or the "
           "folder of a run: its newest.\v"
           "list    one line a checkpoint: size, digest, ok or what is damaged\n"
           "show    what it is: step, model, data cursor, files, tensors, configuration\n"
           "verify  checks all hashes and every tensor; of a folder, all its checkpoints\n"
           "digest  one line a tensor, and a hash that is equal for equal training states\n"
           "export  writes the weights to OUT, a plain HDF5 file\n\n"
           "verify and digest exit with 1 if anything is damaged.",
};

static rw_status run(int argc, char **argv)
{
    arguments given = {0};
    int stop = 0, rank;
    RW_TRY(rw_command_parse(&argp, argc, argv, &given, &stop));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (stop || rank != 0) return RW_OK;
    RW_TRY(actions[find_action(given.action)].run(&given));
    if (fflush(stdout) != 0 || ferror(stdout))
        return rw_fail(RW_ERROR, "cannot write to standard output: %s; check where it goes",
                       strerror(errno));
    return RW_OK;
}

const rw_command rw_command_checkpoint = {
    .name = "checkpoint",
    .summary = "list, show, verify, digest or export checkpoints",
    .run = run,
};
