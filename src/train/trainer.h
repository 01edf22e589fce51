/* Training: from a configuration to a run folder. */
#ifndef RW_TRAINER_H
#define RW_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define RW_NO_STOP UINT64_MAX

typedef struct {
    const char *config;           /* path */
    const char *run_dir;          /* NULL: runs/NAME-OF-CONFIG */
    const char *const *overrides; /* key.path=value */
    int override_count;
    uint64_t stop_at;   /* end after this step, with a checkpoint; RW_NO_STOP: train.steps */
    const char *resume; /* "auto", "never", or the path of a checkpoint */
    const char *init;   /* run or checkpoint with the initial weights of a new run; NULL: none */
    const char *const *init_only; /* patterns of names (fnmatch): the weights to take; none: all */
    int init_only_count;
    const char *const *init_skip; /* the weights not to take */
    int init_skip_count;
    bool force; /* replace files in the run folder that ropewalk did not write */
} rw_train_options;

/* Trains. Collective over MPI_COMM_WORLD. RW_INTERRUPTED if a signal stopped the training after a
 * checkpoint. */
rw_status rw_train(const rw_train_options *options);

#endif
