/* Finds the dataset of a configuration. A relative path is looked up from the working directory,
 * then from the folder of the configuration or of the run, so that a run folder can be moved
 * together with its data. Sets data.dataset to the path of the file. Does nothing without a
 * dataset. Not collective. */
#ifndef RW_DATASET_PLACE_H
#define RW_DATASET_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

/* Sets data.dataset to a path, whatever characters are in it. */
rw_status rw_dataset_set(rw_config *data, const char *path);

/* For training: as given, then in the folder of the configuration file. RW_ERROR if the file is in
 * neither. */
rw_status rw_dataset_beside(rw_config *data, const char *config_path);

/* For a trained model: as given, then from `run` (a run folder or a checkpoint) and from each
 * folder above `run`. Of several files, the first file with this fingerprint, else the first file.
 * RW_ERROR if there is none; with `for_tokens` the message says that the file is needed for the
 * meaning of tokens. */
rw_status rw_dataset_of_run(rw_config *data, const char *run, uint64_t fingerprint,
                            bool for_tokens);

/* Is the file at `path` the dataset with this fingerprint? False if the file cannot be read. */
bool rw_dataset_is(const char *path, uint64_t fingerprint);

#endif
