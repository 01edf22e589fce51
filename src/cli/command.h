/* A command of the ropewalk program. One file, one descriptor: the file
 * src/cli/command_NAME.c defines `const rw_command rw_command_NAME`. */
#ifndef RW_COMMAND_H
#define RW_COMMAND_H

#include <argp.h>
#include <stdint.h>

#include "base/status.h"

typedef struct {
    const char *name;    /* as typed: "train" */
    const char *summary; /* one line for `ropewalk --help` */
    /* Runs the command; argv[0] is "ropewalk NAME". MPI is initialised.
     * Collective over MPI_COMM_WORLD: every rank calls it with the same
     * arguments, and returns. Messages are recorded with rw_fail; main()
     * makes all ranks agree, prints one message and exits. */
    rw_status (*run)(int argc, char **argv);
} rw_command;

extern const rw_command *const rw_command_registry[]; /* NULL-terminated */

/* argp_parse for a command, with the exit codes of the program: usage errors
 * return RW_USAGE after argp's message (from rank 0 only); --help prints on
 * rank 0 and sets *stop, upon which the command returns RW_OK at once. */
rw_status rw_command_parse(const struct argp *argp, int argc, char **argv, void *input, int *stop);
/* The same for a command that rank 0 runs alone: *stop is set on all others. */
rw_status rw_command_parse_alone(const struct argp *argp, int argc, char **argv, void *input,
                                 int *stop);

/* For argp parsers. The only argument of a command, to *out. Without an argument, usage fails with
 * `question` (NULL: the argument is optional). ARGP_ERR_UNKNOWN if `key` is another option. */
error_t rw_command_argument(int key, char *value, struct argp_state *state, const char *question,
                            const char **out);
/* The value of --OPTION: a number of at least `least` and below `below`
 * (infinity: any); a whole number of at least `least`. */
error_t rw_command_number(struct argp_state *state, const char *option, const char *value,
                          double least, double below, double *out);
error_t rw_command_count(struct argp_state *state, const char *option, const char *value,
                         int64_t least, int64_t *out);

#endif
