/* Commands whose first argument is an action: `ropewalk data build OUT IN...`. */
#ifndef RW_ACTION_H
#define RW_ACTION_H

#include "cli/command.h"

typedef struct {
    const char *name;
    int least, most; /* arguments after it */
    rw_status (*run)(char **arguments, int count, const void *options);
} rw_action;

/* What was asked for. */
typedef struct {
    const rw_action *table; /* all there are; one without a name ends it */
    const rw_action *action;
    char **arguments; /* after the action */
    int count;
} rw_action_call;

/* For the argp parser of such a command: takes the arguments, and finds out
 * whether they fit together; ARGP_ERR_UNKNOWN if `key` stands for an option. */
error_t rw_action_parse(int key, struct argp_state *state, rw_action_call *call);

/* Runs it, with the options that the command has. */
rw_status rw_action_run(const rw_action_call *call, const void *options);

#endif
