#include "data_pipeline/task.h"

#include <string.h>

const rw_task *rw_task_find(const char *name)
{
    for (const rw_task *const *task = rw_task_registry; *task; task++)
        if (strcmp((*task)->name, name) == 0) return *task;
    return NULL;
}

rw_random rw_task_draws(rw_random stream, uint64_t index, uint32_t part)
{
    stream.high[0] = (uint32_t)index;
    stream.high[1] = (uint32_t)(index >> 32) | part << 24;
    return stream;
}
