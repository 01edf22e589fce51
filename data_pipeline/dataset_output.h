/* What is at the place where a dataset shall be written, and whether it may be
 * replaced. */
#ifndef RW_DATASET_OUTPUT_H
#define RW_DATASET_OUTPUT_H

#include <stdbool.h>

#include "base/status.h"
#include "data_pipeline/input_list.h"

typedef enum {
    RW_OUTPUT_NEW,     /* must not be there */
    RW_OUTPUT_REPLACE, /* what is there is replaced */
    RW_OUTPUT_APPEND,  /* may be a dataset of ropewalk, which is added to */
} rw_output_mode;

/* May `path` be written, from these inputs? Never what is an input itself, never
 * anything but a file; a file that is there already only as the mode says. Tells
 * whether a file is there. Errors say what to do. */
rw_status rw_dataset_output_check(const char *path, const rw_input_list *inputs,
                                  rw_output_mode mode, bool *exists);

#endif
