/* The small values of a dataset file: attributes and lists, in HDF5. Attributes
 * are written by hdf5_access.h.
 * All functions: the caller holds the HDF5 lock; `path` is for messages. */
#ifndef RW_DATASET_FIELDS_H
#define RW_DATASET_FIELDS_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Attributes of the root: numbers are unsigned, 64-bit, little-endian. */
rw_status rw_field_get_number(hid_t file, const char *path, const char *name, uint64_t *out);
/* Fixed-length strings; `size` bytes of `out` hold the final zero too. */
rw_status rw_field_get_string(hid_t file, const char *path, const char *name, char *out,
                              size_t size);

/* One-dimensional datasets, contiguous. Lists that are read belong to the
 * caller (rw_free). */
rw_status rw_field_put_numbers(hid_t file, const char *path, const char *name,
                               const uint64_t *values, size_t count);
rw_status rw_field_get_numbers(hid_t file, const char *path, const char *name, uint64_t **out,
                               size_t *count);
/* `count` strings of `stride` bytes each, zero-terminated. */
rw_status rw_field_put_names(hid_t file, const char *path, const char *name, const char *names,
                             size_t stride, size_t count);
rw_status rw_field_get_names(hid_t file, const char *path, const char *name, char **out,
                             size_t *stride, size_t *count);

#endif
