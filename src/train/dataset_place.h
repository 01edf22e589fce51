/* Where the dataset of a configuration is: a relative path is looked up from the working
 * directory, then from where the configuration or the run lies, so that a run folder can
 * be moved together with its data. Sets data.dataset to the path that was found. Nothing
 * is done where there is no dataset. Not collective. */
#ifndef RW_DATASET_PLACE_H
#define RW_DATASET_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

/* Sets data.dataset to a path, whatever characters are in it. */
rw_status rw_dataset_set(rw_config *data, const char *path);

/* For training: as given, then in the folder of the configuration file. RW_ERROR if it is
 * in neither. */
rw_status rw_dataset_beside(rw_config *data, const char *config_path);

/* For a trained model: as given, then from `run` (a run folder or a checkpoint) and from
 * each folder above it. Of several files, the first one with this fingerprint, else the
 * first one. RW_ERROR if there is none; `for_tokens` says in the message that it is needed
 * to know what tokens mean. */
rw_status rw_dataset_of_run(rw_config *data, const char *run, uint64_t fingerprint,
                            bool for_tokens);

/* Is the file at `path` the dataset with this fingerprint? False if it cannot be read. */
bool rw_dataset_is(const char *path, uint64_t fingerprint);

#endif
