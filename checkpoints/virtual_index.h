/* index.h5: the whole checkpoint as single tensors, for h5dump, h5ls, h5py. HDF5 virtual datasets
 * that point to the data files in the same folder; ropewalk itself does not read the file. */
#ifndef RW_VIRTUAL_INDEX_H
#define RW_VIRTUAL_INDEX_H

#include "base/status.h"
#include "checkpoints/hdf5_image.h"
#include "checkpoints/manifest.h"

/* Adds a virtual dataset for each tensor of the manifest, and attributes of the root with step,
 * model and format. */
rw_status rw_index_add(rw_image *image, const rw_manifest *manifest);

/* Attributes of the root of an open HDF5 file, `path` in messages: the manifest's meta. Under
 * rw_hdf5_lock(). */
rw_status rw_attributes_add(hid_t file, const char *path, const rw_manifest *manifest);

#endif
