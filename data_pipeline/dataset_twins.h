/* Inputs of a dataset that hold the same bytes. */
#ifndef RW_DATASET_TWINS_H
#define RW_DATASET_TWINS_H

#include "data_pipeline/dataset_index.h"

/* Warns, with one line, if two inputs hold the same bytes: a file that was named twice, a copy,
 * a file that was added again. Their tokens are in the dataset twice, and tokens that are held
 * out may be trained on. Empty inputs do not count. Not collective. */
rw_status rw_dataset_tell_twins(const rw_dataset_index *index);

#endif
