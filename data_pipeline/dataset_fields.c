#include "data_pipeline/dataset_fields.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "storage/hdf5_access.h"

#define NAME_BYTES_MOST 65536 /* of a source: longer than any path */

static const char *const damaged = "the file is damaged or not a dataset of ropewalk; build it "
                                   "again with `ropewalk data build`";

static rw_status cannot_read(const char *path, const char *name)
{
    return rw_hdf5_fail_at("read", name, path, damaged);
}

/* In what follows, messages are recorded before anything is closed: every call
 * of HDF5 forgets the reason why the one before it failed. */

/* Opens a scalar attribute whose values have the class `wanted`; -1 if it is not so. */
static hid_t open_attribute(hid_t file, const char *name, H5T_class_t wanted, hid_t *type)
{
    *type = -1;
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    if (attribute < 0) return -1;
    hid_t space = H5Aget_space(attribute);
    *type = H5Aget_type(attribute);
    bool fits = H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(*type) == wanted;
    rw_hdf5_close(space, H5Sclose);
    if (fits) return attribute;
    H5Aclose(attribute);
    return -1;
}

rw_status rw_field_get_number(hid_t file, const char *path, const char *name, uint64_t *out)
{
    hid_t type, attribute = open_attribute(file, name, H5T_INTEGER, &type);
    bool read = attribute >= 0 && H5Aread(attribute, H5T_NATIVE_UINT64, out) >= 0;
    rw_status status = read ? RW_OK : cannot_read(path, name);
    rw_hdf5_close(attribute, H5Aclose);
    rw_hdf5_close(type, H5Tclose);
    return status;
}

rw_status rw_field_get_string(hid_t file, const char *path, const char *name, char *out,
                              size_t size)
{
    hid_t type, attribute = open_attribute(file, name, H5T_STRING, &type);
    bool read = attribute >= 0 && H5Tis_variable_str(type) == 0 && H5Tget_size(type) <= size &&
                H5Aread(attribute, type, out) >= 0;
    if (read) read = memchr(out, '\0', H5Tget_size(type)) != NULL;
    rw_status status = read ? RW_OK : cannot_read(path, name);
    rw_hdf5_close(attribute, H5Aclose);
    rw_hdf5_close(type, H5Tclose);
    return status;
}

static rw_status put_list(hid_t file, const char *path, const char *name, hid_t stored,
                          hid_t memory, const void *values, size_t count)
{
    hsize_t extent = count;
    hid_t space = H5Screate_simple(1, &extent, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    /* Without times, equal inputs give equal files. */
    H5Pset_obj_track_times(creation, false);
    hid_t set = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    bool written = set >= 0 && H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    rw_status status = written ? RW_OK : rw_hdf5_fail_at("write", name, path, RW_HDF5_SPACE);
    rw_hdf5_close(set, H5Dclose);
    rw_hdf5_close(creation, H5Pclose);
    rw_hdf5_close(space, H5Sclose);
    return status;
}

rw_status rw_field_put_numbers(hid_t file, const char *path, const char *name,
                               const uint64_t *values, size_t count)
{
    return put_list(file, path, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, values, count);
}

rw_status rw_field_put_names(hid_t file, const char *path, const char *name, const char *names,
                             size_t stride, size_t count)
{
    hid_t type = rw_hdf5_text_type(stride);
    rw_status status = put_list(file, path, name, type, type, names, count);
    rw_hdf5_close(type, H5Tclose);
    return status;
}

/* Opens a list and tells its length; -1 if it is not one-dimensional or holds
 * more than the file has bytes for. */
static hid_t open_list(hid_t file, const char *name, H5T_class_t wanted, hid_t *type, size_t *count)
{
    *type = -1;
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0) return -1;
    hid_t space = H5Dget_space(set);
    hsize_t extent = 0, file_bytes = 0;
    *type = H5Dget_type(set);
    bool fits = H5Sget_simple_extent_ndims(space) == 1 && H5Tget_class(*type) == wanted &&
                H5Sget_simple_extent_dims(space, &extent, NULL) == 1 &&
                H5Fget_filesize(file, &file_bytes) >= 0 &&
                extent <= file_bytes / H5Tget_size(*type);
    rw_hdf5_close(space, H5Sclose);
    *count = extent;
    if (fits) return set;
    H5Dclose(set);
    return -1;
}

rw_status rw_field_get_numbers(hid_t file, const char *path, const char *name, uint64_t **out,
                               size_t *count)
{
    rw_status status = RW_OK;
    *out = NULL;
    hid_t type, set = open_list(file, name, H5T_INTEGER, &type, count);
    if (set < 0) {
        status = cannot_read(path, name);
        goto done;
    }
    RW_TRY_DONE(rw_alloc(*count, sizeof **out, name, out));
    if (H5Dread(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
        status = cannot_read(path, name);
done:
    if (status != RW_OK) rw_free(out);
    rw_hdf5_close(type, H5Tclose);
    rw_hdf5_close(set, H5Dclose);
    return status;
}

rw_status rw_field_get_names(hid_t file, const char *path, const char *name, char **out,
                             size_t *stride, size_t *count)
{
    rw_status status = RW_OK;
    *out = NULL;
    hid_t type, set = open_list(file, name, H5T_STRING, &type, count);
    if (set < 0 || H5Tis_variable_str(type) != 0 || H5Tget_size(type) > NAME_BYTES_MOST) {
        status = cannot_read(path, name);
        goto done;
    }
    *stride = H5Tget_size(type);
    RW_TRY_DONE(rw_alloc(*count, *stride, name, out));
    if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
        status = cannot_read(path, name);
    /* Later readers rely on the final zeros. */
    for (size_t i = 1; i <= *count; i++) (*out)[i * *stride - 1] = '\0';
done:
    if (status != RW_OK) rw_free(out);
    rw_hdf5_close(type, H5Tclose);
    rw_hdf5_close(set, H5Dclose);
    return status;
}
