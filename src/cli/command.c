#include "cli/command.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shown_text.h"

/* argp's own --help exits, or with ARGP_NO_EXIT continues to parse and complains about missing
 * arguments. The options below replace argp's --help. argp_help lists these options; they are
 * looked up before the parsing starts. */
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

/* The argp_help flags that the arguments ask for; 0: none. */
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

/* Messages of argp quote the arguments: they are collected here, to be shown as text. */
typedef struct {
    void *input; /* of the command's own parser, the only child */
    FILE *said;
} collector;

static error_t collect(int key, char *argument, struct argp_state *state)
{
    collector *c = state->input;
    (void)argument;
    if (key != ARGP_KEY_INIT) return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = c->input;
    if (c->said && !(state->flags & ARGP_NO_ERRS)) state->err_stream = c->said;
    return 0;
}

static error_t parse_collecting(const struct argp *argp, int argc, char **argv, unsigned flags,
                                void *input)
{
    const struct argp_child child[] = {{argp, 0, NULL, 0}, {0}};
    const struct argp both = {.parser = collect, .children = child};
    char *text = NULL;
    size_t size = 0;
    collector c = {.input = input, .said = open_memstream(&text, &size)};
    error_t error = argp_parse(&both, argc, argv, flags, NULL, &c);
    if (c.said && fclose(c.said) == 0 && size > 0) rw_print_lines(stderr, text);
    free(text); /* of open_memstream, not ours */
    return error;
}

/* getopt prints its message about an unknown option directly to standard error. */
static rw_status check_option_names(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        int length = (int)strcspn(argv[i], "=");
        if (argv[i][0] != '-' || rw_is_shown(argv[i], (size_t)length)) continue;
        return rw_fail(RW_USAGE, "unrecognized option '%.*s'; --help lists them",
                       length < 60 ? length : 60, argv[i]);
    }
    return RW_OK;
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
    RW_TRY(check_option_names(argc, argv));
    return parse_collecting(argp, argc, argv, flags, input) == 0 ? RW_OK : RW_USAGE;
}

rw_status rw_command_parse_alone(const struct argp *argp, int argc, char **argv, void *input,
                                 int *stop)
{
    int rank = 0;
    RW_TRY(rw_command_parse(argp, argc, argv, input, stop));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank != 0) *stop = 1;
    return RW_OK;
}

error_t rw_command_argument(int key, char *value, struct argp_state *state, const char *question,
                            const char **out)
{
    if (key == ARGP_KEY_ARG && !*out) {
        *out = value;
        return 0;
    }
    if (key != ARGP_KEY_NO_ARGS || !question) return ARGP_ERR_UNKNOWN;
    argp_error(state, "%s", question);
    return EINVAL;
}

error_t rw_command_number(struct argp_state *state, const char *option, const char *value,
                          double least, double below, double *out)
{
    char *end;
    *out = strtod(value, &end);
    if (*value && !*end && *out >= least && *out < below) return 0;
    char limit[64] = "";
    if (isfinite(below)) snprintf(limit, sizeof limit, " and below %g", below);
    argp_error(state, "--%s takes a number of at least %g%s, not %s", option, least, limit, value);
    return EINVAL;
}

error_t rw_command_count(struct argp_state *state, const char *option, const char *value,
                         int64_t least, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(value, &end, 10);
    if (*value && !*end && !errno && *out >= least) return 0;
    argp_error(state, "--%s takes a whole number of at least %" PRId64 ", not %s", option, least,
               value);
    return EINVAL;
}
