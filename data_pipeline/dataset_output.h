/* The file at the place of a new dataset, and the permission to replace it. */
#ifndef RW_DATASET_OUTPUT_H
#define RW_DATASET_OUTPUT_H

#include <stdbool.h>

#include "base/status.h"
#include "data_pipeline/input_list.h"

typedef enum {
    RW_OUTPUT_NEW,     /* must not be there */
    RW_OUTPUT_REPLACE, /* replace the file */
    RW_OUTPUT_APPEND,  /* append to a dataset of ropewalk */
} rw_output_mode;

/* May `path` be written, from these inputs? Never an input itself, never something other than a
 * file; an existing file only as the mode allows. Tells whether a file exists. Errors come with
 * advice. */
rw_status rw_dataset_output_check(const char *path, const rw_input_list *inputs,
                                  rw_output_mode mode, bool *exists);

#endif
