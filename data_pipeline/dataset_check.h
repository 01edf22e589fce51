/* Checking a dataset file to the last byte. */
#ifndef RW_DATASET_CHECK_H
#define RW_DATASET_CHECK_H

#include <stdio.h>

#include "data_pipeline/dataset_file.h"

/* Reads the whole of an open dataset and checks it: each chunk, the hash of all tokens, the hash of
 * all bytes of the file. *faults: their number. Each fault is a line on `out`; NULL: the first
 * fault is recorded as the message of a failure (rw_message). `doing`: for the progress line.
 * Errors: no memory. */
rw_status rw_dataset_check(rw_dataset *dataset, const char *doing, FILE *out, int *faults);

#endif
