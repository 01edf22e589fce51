/* Training: from a configuration to a run folder. */
#ifndef RW_TRAINER_H
#define RW_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct {
    const char *config;           /* path */
    const char *run_dir;          /* NULL: runs/NAME-OF-CONFIG */
    const char *const *overrides; /* key.path=value */
    int override_count;
    uint64_t stop_at;   /* end after this step, with a checkpoint; 0: train.steps */
    const char *resume; /* "auto", "never", or the path of a checkpoint */
    bool force;         /* replace files in the run folder that ropewalk did not write */
} rw_train_options;

/* Trains. Collective over MPI_COMM_WORLD. RW_INTERRUPTED if a signal stopped it
 * after a checkpoint. */
rw_status rw_train(const rw_train_options *options);

#endif
