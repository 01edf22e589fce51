#include "optim/schedule.h"

#include <math.h>
#include <string.h>

const rw_key rw_schedule_keys[] = {
    {.name = "name",
     .type = RW_KEY_STRING,
     .fallback = "cosine",
     .doc = "how the learning rate goes from its peak to the end"},
    {.name = "warmup",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 1e15,
     .doc = "steps over which the learning rate rises linearly to its peak"},
    RW_KEYS_END,
};

const rw_schedule *rw_schedule_find(const char *name)
{
    for (int i = 0; rw_schedule_registry[i]; i++)
        if (strcmp(rw_schedule_registry[i]->name, name) == 0) return rw_schedule_registry[i];
    return NULL;
}

/* The progress at the start of the step: a schedule that ends at zero still learns in its last
 * step. */
double rw_schedule_at(const rw_schedule *schedule, const rw_config *config, uint64_t step,
                      uint64_t steps)
{
    const uint64_t warmup = (uint64_t)rw_config_int(config, "warmup");
    if (step < warmup) return (double)(step + 1) / (double)warmup;
    if (steps <= warmup) return 1;
    return schedule->factor(config, fmin(1, (double)(step - warmup) / (double)(steps - warmup)));
}
