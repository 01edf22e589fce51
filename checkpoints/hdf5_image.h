/* A small HDF5 file in memory, to which datasets of zstd frames are added. durable_file.h writes
 * the bytes to disk: HDF5 itself does no input or output. Files are read without HDF5
 * (data_file.h). Functions hold rw_hdf5_lock() only during calls of HDF5, so that others need not
 * wait for compression. Not collective. */
#ifndef RW_HDF5_IMAGE_H
#define RW_HDF5_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/status.h"
#include "checkpoints/tensor_block.h"

typedef struct rw_image rw_image;

/* A new file, open for rw_image_add. It grows as needed; `expected`: bytes of data to come. */
rw_status rw_image_create(size_t expected, rw_image **out);
void rw_image_destroy(rw_image **image);

/* Adds the block `data` as a dataset; its frames are in *begin..*end - 1 of the file. */
rw_status rw_image_add(rw_image *image, const rw_block *block, const void *data, uint64_t *begin,
                       uint64_t *end);
/* The open file, for further additions under the lock. */
hid_t rw_image_file(const rw_image *image);
/* Closes the new file: *bytes (borrowed from the image) are the bytes for the disk. */
rw_status rw_image_finish(rw_image *image, const unsigned char **bytes, size_t *size);

/* Descriptions of tensors for HDF5, in images and elsewhere; under the lock: the type of elements
 * of 4 or 8 bytes; the extent of a shape (H5Sclose it); and creation of the groups in a tensor's
 * name (H5Pclose it). */
hid_t rw_element_type(size_t bytes);
hid_t rw_shape_space(int dims, const size_t *shape);
hid_t rw_link_creation(void);
/* Advice if HDF5 could not write to memory. */
#define RW_HDF5_MEMORY "free some memory; no tensor may be named as a folder of another"

#endif
