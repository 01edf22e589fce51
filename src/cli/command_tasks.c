#include "cli/catalog.h"
#include "cli/command.h"
#include "data_pipeline/task.h"

static rw_status run(int argc, char **argv)
{
    rw_catalog catalog = {
        .what = "task",
        .doc = "Lists the built-in generated tasks, with the keys of "
               "data: {task: {name: mqar, ...}}: type, default, meaning.",
    };
    for (int i = 0; i < RW_CATALOG_MOST && rw_task_registry[i]; i++) {
        const rw_task *task = rw_task_registry[i];
        catalog.entries[i].name = task->name;
        catalog.entries[i].summary = task->summary;
        catalog.entries[i].keys = task->keys;
        catalog.count++;
    }
    return rw_catalog_run(&catalog, argc, argv);
}

const rw_command rw_command_tasks = {
    .name = "tasks",
    .summary = "List the generated tasks and their keys",
    .run = run,
};
