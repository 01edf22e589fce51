/* A schedule of the learning rate after warm-up. One file, one descriptor. All schedules share the
 * warm-up: linear from lr/warmup to lr over `warmup` steps. */
#ifndef RW_SCHEDULE_H
#define RW_SCHEDULE_H

#include <stdint.h>

#include "base/config.h"

typedef struct {
    const char *name;
    const char *summary;
    const rw_key *keys; /* besides name and warmup */
    /* Factor of the peak rate at `progress` in [0, 1] of the steps after
     * warm-up. Pure. */
    double (*factor)(const rw_config *config, double progress);
} rw_schedule;

extern const rw_schedule *const rw_schedule_registry[]; /* NULL-terminated */
const rw_schedule *rw_schedule_find(const char *name);  /* NULL if unknown */
extern const rw_key rw_schedule_keys[];                 /* name, warmup */

/* The learning-rate factor of step `step` (0-based) of `steps`. */
double rw_schedule_at(const rw_schedule *schedule, const rw_config *config, uint64_t step,
                      uint64_t steps);

#endif
