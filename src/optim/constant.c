/* The peak rate to the end. */
#include "optim/schedule.h"

static const rw_key keys[] = {RW_KEYS_END};

static double constant_factor(const rw_config *config, double progress)
{
    (void)config;
    (void)progress;
    return 1;
}

const rw_schedule rw_schedule_constant = {
    .name = "constant",
    .summary = "the peak learning rate until the end",
    .keys = keys,
    .factor = constant_factor,
};
