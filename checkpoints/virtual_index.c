#include "checkpoints/virtual_index.h"

#include "checkpoints/checkpoint_format.h"
#include "storage/hdf5_access.h"

/* Maps the dataset of the extent to its rows of the whole tensor. */
static int map_segment(hid_t creation, hid_t whole, const rw_manifest *manifest,
                       const rw_extent *segment)
{
    rw_block block = rw_manifest_block(manifest, segment);
    hsize_t start[RW_MAX_DIMS] = {segment->begin}, count[RW_MAX_DIMS];
    for (int d = 0; d < block.dims; d++) count[d] = block.shape[d];
    hid_t part = rw_shape_space(block.dims, block.shape);
    if (part < 0) return -1;
    int result = H5Sselect_hyperslab(whole, H5S_SELECT_SET, start, NULL, count, NULL);
    if (result >= 0)
        result =
            H5Pset_virtual(creation, whole, manifest->files[segment->file].name, block.name, part);
    H5Sclose(part);
    return result;
}

/* Adds the tensor with extents from *next on, and moves *next past them. */
static int add_tensor(hid_t file, hid_t link, const rw_manifest *manifest, size_t tensor,
                      size_t *next)
{
    const rw_manifest_tensor *about = &manifest->tensors[tensor];
    hid_t dataset = H5I_INVALID_HID, whole = rw_shape_space(about->dims, about->shape);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    int result = whole < 0 || creation < 0 ? -1 : H5Pset_obj_track_times(creation, false);
    for (; *next < manifest->segment_count && manifest->segments[*next].tensor == tensor; ++*next)
        if (result >= 0)
            result = map_segment(creation, whole, manifest, &manifest->segments[*next]);
    hid_t type = rw_element_type(rw_dtype_bytes(manifest->dtype));
    if (result >= 0) result = H5Sselect_all(whole);
    if (result >= 0)
        dataset = H5Dcreate2(file, about->name, type, whole, link, creation, H5P_DEFAULT);
    if (dataset >= 0) result = H5Dclose(dataset);
    rw_hdf5_close(creation, H5Pclose);
    rw_hdf5_close(whole, H5Sclose);
    return dataset < 0 ? -1 : result;
}

rw_status rw_attributes_add(hid_t file, const char *path, const rw_manifest *manifest)
{
    const rw_checkpoint_meta *about = &manifest->about;
    int version = RW_CHECKPOINT_VERSION;
    RW_TRY(rw_hdf5_put_text(file, path, "format", RW_CHECKPOINT_FORMAT));
    RW_TRY(rw_hdf5_put_value(file, path, "version", H5T_STD_I32LE, H5T_NATIVE_INT, &version));
    RW_TRY(rw_hdf5_put_number(file, path, "step", about->step));
    return rw_hdf5_put_text(file, path, "model", about->model);
}

rw_status rw_index_add(rw_image *image, const rw_manifest *manifest)
{
    static const char name[] = "the index of a checkpoint";
    size_t segment = 0;
    rw_hdf5_lock();
    rw_status status = rw_attributes_add(rw_image_file(image), name, manifest);
    hid_t link = rw_link_creation();
    if (status == RW_OK && link < 0) status = rw_hdf5_fail("prepare", name, RW_HDF5_MEMORY);
    for (size_t i = 0; status == RW_OK && i < manifest->tensor_count; i++)
        if (add_tensor(rw_image_file(image), link, manifest, i, &segment) < 0)
            status = rw_hdf5_fail_at("add", manifest->tensors[i].name, name, RW_HDF5_MEMORY);
    rw_hdf5_close(link, H5Pclose);
    rw_hdf5_unlock();
    return status;
}
