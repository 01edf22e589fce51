#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/shown_text.h"
#include "cli/command.h"
#include "report/report.h"

typedef struct {
    char **folders;
    int count;
    bool force;
} arguments;

static const struct argp_option options[] = {
    {"force", 'F', NULL, 0, "Replace a report.html that ropewalk did not write", 0},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    (void)text;
    arguments *a = state->input;
    switch (key) {
    case 'F':
        a->force = true;
        return 0;
    case ARGP_KEY_ARGS:
        a->folders = state->argv + state->next;
        a->count = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "give at least one run folder");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RUN_DIR...",
    .doc = "Write RUN_DIR/report.html for each run folder and print its path.\v"
           "The page shows the run's facts, loss curves, throughput and communication. It needs "
           "no other file and no network. A run that is still going on, or that was killed, can "
           "be reported as well.",
};

static rw_status run(int argc, char **argv)
{
    arguments a = {0};
    int stop;
    RW_TRY(rw_command_parse_alone(&argp, argc, argv, &a, &stop));
    if (stop) return RW_OK;
    for (int i = 0; i < a.count; i++) {
        RW_TRY(rw_report_write(a.folders[i], a.force));
        rw_print_line(stdout, "%s/report.html", a.folders[i]);
    }
    return RW_OK;
}

const rw_command rw_command_report = {
    .name = "report",
    .summary = "write a page with the facts and curves of runs",
    .run = run,
};
