#include "checkpoints/virtual_index.h"

#include <string.h>

#include "base/hdf5_lock.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/hdf5_error.h"

/* Maps the segment's dataset to its rows of the whole tensor. */
static int map_segment(hid_t creation, hid_t whole, const rw_manifest *manifest,
                       const rw_segment *segment)
{
    rw_block block = rw_manifest_block(manifest, segment);
    hsize_t start[RW_MAX_DIMS] = {segment->begin}, count[RW_MAX_DIMS];
    for (int d = 0; d < block.dims; d++) count[d] = block.shape[d];
    hid_t part = H5Screate_simple(block.dims, count, NULL);
    if (part < 0) return -1;
    int result = H5Sselect_hyperslab(whole, H5S_SELECT_SET, start, NULL, count, NULL);
    if (result >= 0)
        result =
            H5Pset_virtual(creation, whole, manifest->files[segment->file].name, block.name, part);
    H5Sclose(part);
    return result;
}

/* Adds the tensor whose segments begin at *next, and moves *next past them. */
static int add_tensor(hid_t file, hid_t link, const rw_manifest *manifest, size_t tensor,
                      size_t *next)
{
    const rw_manifest_tensor *about = &manifest->tensors[tensor];
    hsize_t shape[RW_MAX_DIMS];
    for (int d = 0; d < about->dims; d++) shape[d] = about->shape[d];
    hid_t dataset = H5I_INVALID_HID, whole = H5Screate_simple(about->dims, shape, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    int result = whole < 0 || creation < 0 ? -1 : H5Pset_obj_track_times(creation, false);
    for (; *next < manifest->segment_count && manifest->segments[*next].tensor == tensor; ++*next)
        if (result >= 0)
            result = map_segment(creation, whole, manifest, &manifest->segments[*next]);
    hid_t type = rw_dtype_bytes(manifest->dtype) == 8 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE;
    if (result >= 0) result = H5Sselect_all(whole);
    if (result >= 0)
        dataset = H5Dcreate2(file, about->name, type, whole, link, creation, H5P_DEFAULT);
    if (dataset >= 0) result = H5Dclose(dataset);
    if (creation >= 0) H5Pclose(creation);
    if (whole >= 0) H5Sclose(whole);
    return dataset < 0 ? -1 : result;
}

static int add_attribute(hid_t file, const char *name, hid_t type, const void *value)
{
    hid_t scalar = H5Screate(H5S_SCALAR), attribute = H5I_INVALID_HID;
    if (scalar >= 0) attribute = H5Acreate2(file, name, type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    int result = attribute < 0 ? -1 : H5Awrite(attribute, type, value);
    if (attribute >= 0) H5Aclose(attribute);
    if (scalar >= 0) H5Sclose(scalar);
    return result;
}

static int add_text(hid_t file, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    int result = type < 0 || H5Tset_size(type, strlen(text) + 1) < 0
                     ? -1
                     : add_attribute(file, name, type, text);
    if (type >= 0) H5Tclose(type);
    return result;
}

rw_status rw_attributes_add(hid_t file, const rw_manifest *manifest)
{
    const rw_checkpoint_meta *about = &manifest->about;
    int version = RW_CHECKPOINT_VERSION;
    if (add_text(file, "format", RW_CHECKPOINT_FORMAT) < 0 ||
        add_attribute(file, "version", H5T_NATIVE_INT, &version) < 0 ||
        add_attribute(file, "step", H5T_NATIVE_UINT64, &about->step) < 0 ||
        add_text(file, "model", about->model) < 0)
        return rw_hdf5_fail("write", "the attributes of a checkpoint");
    return RW_OK;
}

rw_status rw_index_add(rw_image *image, const rw_manifest *manifest)
{
    size_t segment = 0;
    rw_hdf5_lock();
    rw_status status = rw_attributes_add(rw_image_file(image), manifest);
    hid_t link = H5Pcreate(H5P_LINK_CREATE);
    if (status == RW_OK && (link < 0 || H5Pset_create_intermediate_group(link, 1) < 0))
        status = rw_hdf5_fail("prepare", "the index of a checkpoint");
    for (size_t i = 0; status == RW_OK && i < manifest->tensor_count; i++)
        if (add_tensor(rw_image_file(image), link, manifest, i, &segment) < 0)
            status = rw_hdf5_fail("add to the index the tensor", manifest->tensors[i].name);
    if (link >= 0) H5Pclose(link);
    rw_hdf5_unlock();
    return status;
}
