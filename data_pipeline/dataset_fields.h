/* The lists of a dataset file as HDF5 datasets, for other programs and for
 * ropewalk's own reader. Written only: ropewalk reads by way of the header.
 * Attributes are written by hdf5_access.h.
 * All functions: the caller holds the HDF5 lock; `path` is for messages. */
#ifndef RW_DATASET_FIELDS_H
#define RW_DATASET_FIELDS_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* One-dimensional datasets, contiguous. *offset: the place of the values in the file; for an empty
 * list, the end of the header. */
rw_status rw_field_put_numbers(hid_t file, const char *path, const char *name,
                               const uint64_t *values, size_t count, uint64_t *offset);
/* `count` strings of `stride` bytes each, zero-terminated. */
rw_status rw_field_put_names(hid_t file, const char *path, const char *name, const char *names,
                             size_t stride, size_t count, uint64_t *offset);

#endif
