/* A data file of a checkpoint for reading: the frames of its datasets, without HDF5. Not
 * collective. */
#ifndef RW_DATA_FILE_H
#define RW_DATA_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoints/tensor_block.h"

typedef struct rw_data_file rw_data_file;

/* A file of `size` arbitrary bytes: the file `name` of `folder`, for messages; borrows both. Takes
 * ownership of *bytes, on failure too. */
rw_status rw_data_file_new(const char *folder, const char *name, unsigned char **bytes, size_t size,
                           rw_data_file **out);
void rw_data_file_destroy(rw_data_file **file);

/* Hands the bytes of the block to the sink in order; its frames are in begin..end - 1 of the file.
 * Missing, damaged or wrong-sized frames are an error. */
rw_status rw_data_file_read(rw_data_file *file, const rw_block *block, uint64_t begin, uint64_t end,
                            rw_bytes_sink sink, void *state);

#endif
