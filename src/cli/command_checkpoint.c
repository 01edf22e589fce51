/* ropewalk checkpoint: lists, shows, verifies and digests checkpoints, and exports weights. */
#include <stdio.h>

#include "checkpoints/checkpoint.h"
#include "cli/action.h"

static rw_status list(char **words, int count, const void *options)
{
    (void)count, (void)options;
    return rw_checkpoint_list(words[0], stdout);
}

static rw_status show(char **words, int count, const void *options)
{
    (void)count, (void)options;
    return rw_checkpoint_show(words[0], stdout);
}

static rw_status verify(char **words, int count, const void *options)
{
    (void)count, (void)options;
    return rw_checkpoint_verify(words[0], stdout);
}

static rw_status digest(char **words, int count, const void *options)
{
    (void)count, (void)options;
    return rw_checkpoint_digest(words[0], stdout);
}

static rw_status export(char **words, int count, const void *options)
{
    (void)count;
    return rw_checkpoint_export(words[0], words[1], *(const bool *)options);
}

static const rw_action actions[] = {
    {"list", 1, 1, list},     {"show", 1, 1, show},     {"verify", 1, 1, verify},
    {"digest", 1, 1, digest}, {"export", 2, 2, export}, {0},
};

typedef struct {
    rw_action_call call;
    bool force; /* of export */
} arguments;

static const struct argp_option options[] = {
    {"force", 'F', NULL, 0, "export: replace OUT even if it is no export of ropewalk", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    arguments *a = state->input;
    (void)argument;
    if (key != 'F') return rw_action_parse(key, state, &a->call);
    a->force = true;
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "list DIR\nshow PATH\nverify PATH\ndigest PATH\nexport PATH OUT",
    .doc = "Look at checkpoints. PATH is a checkpoint (step-N), a folder of checkpoints or the "
           "folder of a run: its newest, or RUN/checkpoints/best.\v"
           "list    one line a checkpoint: size, digest, ok or what is damaged\n"
           "show    what it is: step, model, data cursor, files, tensors, configuration\n"
           "verify  checks all hashes and every tensor; of a folder, all its checkpoints\n"
           "digest  one line a tensor, and a hash that is equal for equal training states\n"
           "export  writes the weights to OUT, a plain HDF5 file; replaces an earlier export, "
           "other files only with --force\n\n"
           "verify and digest exit with 1 if anything is damaged.",
};

static rw_status run(int argc, char **argv)
{
    arguments a = {.call.table = actions};
    int stop;
    RW_TRY(rw_command_parse_alone(&argp, argc, argv, &a, &stop));
    return stop ? RW_OK : rw_action_run(&a.call, &a.force);
}

const rw_command rw_command_checkpoint = {
    .name = "checkpoint",
    .summary = "list, show, verify, digest or export checkpoints",
    .run = run,
};
