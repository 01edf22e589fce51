/* Appending to a dataset: the tokens of the old file go into the new file first. */
#ifndef RW_DATASET_APPEND_H
#define RW_DATASET_APPEND_H

#include "data_pipeline/dataset_file.h"
#include "data_pipeline/dataset_writer.h"

/* Appends the sources of the old dataset, either the held-out files or the others, with their
 * documents; *source is the number of the next source of the writer. NULL: nothing. */
rw_status rw_dataset_copy_sources(rw_dataset *old, bool heldout, rw_dataset_writer *writer,
                                  int *source);

#endif
