/* Commands whose first argument is an action: `ropewalk data build OUT IN...`. */
#ifndef RW_ACTION_H
#define RW_ACTION_H

#include "cli/command.h"

typedef struct {
    const char *name;
    int least, most; /* arguments after the action */
    rw_status (*run)(char **arguments, int count, const void *options);
} rw_action;

/* The parsed arguments. */
typedef struct {
    const rw_action *table; /* all actions; an action without a name ends the list */
    const rw_action *action;
    char **arguments; /* after the action */
    int count;
} rw_action_call;

/* For the argp parser of such a command: takes the arguments and checks them; ARGP_ERR_UNKNOWN if
 * `key` is an option. */
error_t rw_action_parse(int key, struct argp_state *state, rw_action_call *call);

/* Runs the action, with the options of the command. */
rw_status rw_action_run(const rw_action_call *call, const void *options);

#endif
