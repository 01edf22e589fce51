/* Inputs of a dataset with the same bytes. */
#ifndef RW_DATASET_TWINS_H
#define RW_DATASET_TWINS_H

#include "data_pipeline/dataset_index.h"

/* Warns, with one line, if two inputs hold the same bytes: a file named twice, a copy, a file
 * appended once more. Their tokens are in the dataset twice, and held-out tokens may be trained on.
 * Empty inputs do not count. Not collective. */
rw_status rw_dataset_tell_twins(const rw_dataset_index *index);

#endif
