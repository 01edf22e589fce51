#include "cli/command.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

/* argp's own --help exits, or with ARGP_NO_EXIT goes on parsing and complains
 * about missing arguments. These options stand in for it: listed by argp_help,
 * found before the parsing starts. */
#define USAGE_KEY 0x100 /* beyond characters: no short option */

static const struct argp_option help_options[] = {
    {"help", '?', NULL, 0, "Give this help list", -1},
    {"usage", USAGE_KEY, NULL, 0, "Give a short usage message", -1},
    {0},
};

static error_t accept_nothing(int key, char *argument, struct argp_state *state)
{
    (void)key;
    (void)argument;
    (void)state;
    return ARGP_ERR_UNKNOWN;
}

static const struct argp help_argp = {.options = help_options, .parser = accept_nothing};

/* The argp_help flags that the arguments ask for; 0 if they do not. */
static unsigned wanted_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-?") == 0)
            return ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK;
        if (strcmp(argv[i], "--usage") == 0) return ARGP_HELP_USAGE;
    }
    return 0;
}

static void print_help(const struct argp *argp, unsigned flags, char *name)
{
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {&help_argp, 0, NULL, -1}, {0}};
    const struct argp both = {.parser = accept_nothing, .children = children};
    argp_help(&both, stdout, flags, name);
}

rw_status rw_command_parse(const struct argp *argp, int argc, char **argv, void *input, int *stop)
{
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    unsigned help = wanted_help(argc, argv);
    *stop = help != 0;
    if (help) {
        if (rank == 0) print_help(argp, help, argv[0]);
        return RW_OK;
    }
    unsigned flags = ARGP_NO_EXIT | ARGP_NO_HELP | (rank == 0 ? 0 : ARGP_NO_ERRS);
    return argp_parse(argp, argc, argv, flags, NULL, input) == 0 ? RW_OK : RW_USAGE;
}
