#include "cli/action.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/config.h"

#define ACTIONS_MOST 16

/* `name` is no known action, or NULL: no argument. */
static error_t refuse_name(struct argp_state *state, const rw_action *table, const char *name)
{
    const char *names[ACTIONS_MOST];
    char advice[RW_NAME_ADVICE];
    int count = 0;
    for (; count < ACTIONS_MOST && table[count].name; count++) names[count] = table[count].name;
    rw_name_advice(name ? name : "", "actions", names, count, advice);
    if (name)
        argp_error(state, "there is no action %.60s%s", name, advice);
    else
        argp_error(state, "an action is missing%s", advice);
    return EINVAL;
}

static error_t take_arguments(struct argp_state *state, rw_action_call *call)
{
    const rw_action *action = call->table;
    char **arguments = state->argv + state->next;
    int count = state->argc - state->next - 1;
    while (action->name && strcmp(action->name, arguments[0]) != 0) action++;
    if (!action->name) return refuse_name(state, call->table, arguments[0]);
    if (count < action->least || count > action->most) {
        argp_error(state, "%s wants %s%d argument%s, %d given", action->name,
                   action->most == INT_MAX ? "at least " : "", action->least,
                   action->least == 1 ? "" : "s", count);
        return EINVAL;
    }
    call->action = action;
    call->arguments = arguments + 1;
    call->count = count;
    return 0;
}

error_t rw_action_parse(int key, struct argp_state *state, rw_action_call *call)
{
    switch (key) {
    case ARGP_KEY_ARGS:
        return take_arguments(state, call);
    case ARGP_KEY_NO_ARGS:
        return refuse_name(state, call->table, NULL);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

rw_status rw_action_run(const rw_action_call *call, const void *options)
{
    return call->action->run(call->arguments, call->count, options);
}
