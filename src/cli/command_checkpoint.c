/* ropewalk checkpoint: looks at checkpoints, proves them, exports weights. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <mpi.h>

#include "checkpoints/checkpoint.h"
#include "cli/command.h"

#define PATHS_MAX 2

typedef struct {
    const char *action; /* the first argument; the others are paths */
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

/* Is it clear what to do? Sets *action. */
static rw_status check_arguments(const arguments *given, int *action)
{
    *action = find_action(given->action);
    if (!given->action)
        return rw_fail(RW_USAGE, "checkpoint wants an action: list, show, verify, digest or export "
                                 "(see ropewalk checkpoint --help)");
    if (*action < 0)
        return rw_fail(RW_USAGE,
                       "checkpoint knows no action %s: list, show, verify, digest or export (see "
                       "ropewalk checkpoint --help)",
                       given->action);
    if (given->count != actions[*action].paths)
        return rw_fail(RW_USAGE,
                       "checkpoint %s wants %d path%s, %d given (see ropewalk checkpoint --help)",
                       given->action, actions[*action].paths,
                       actions[*action].paths == 1 ? "" : "s", given->count);
    return RW_OK;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    arguments *given = state->input;
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    if (!given->action)
        given->action = argument;
    else if (given->count++ < PATHS_MAX)
        given->paths[given->count - 1] = argument;
    return 0;
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
    int stop = 0, rank, action;
    RW_TRY(rw_command_parse(&argp, argc, argv, &given, &stop));
    if (stop) return RW_OK;
    RW_TRY(check_arguments(&given, &action));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank != 0) return RW_OK;
    RW_TRY(actions[action].run(&given));
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
