#include "data_pipeline/dataset_fields.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define NAME_BYTES_MOST 65536 /* of a source: longer than any path */

static const char *const damaged = "the file is damaged or not a dataset of ropewalk; build it "
                                   "again with `ropewalk data build`";

static herr_t keep_innermost(unsigned n, const H5E_error2_t *error, void *context)
{
    char *reason = context;
    if (n == 0 && error->desc) snprintf(reason, 512, "%s", error->desc);
    return 0;
}

/* Where the system refused, HDF5 wraps its message in many more words. */
static const char *system_reason(char *reason)
{
    static const char marker[] = "error message = '";
    char *begin = strstr(reason, marker);
    if (!begin) return reason;
    begin += strlen(marker);
    char *end = strchr(begin, '\'');
    if (end) *end = '\0';
    return begin;
}

rw_status rw_dataset_hdf5_fail(const char *path, const char *doing, const char *advice)
{
    char reason[512] = "it does not have the form it should have";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, reason);
    H5Eclear2(H5E_DEFAULT);
    return rw_fail(RW_ERROR, "%s: cannot %s: %s; %s", path, doing, system_reason(reason), advice);
}

static rw_status cannot_read(const char *path, const char *name)
{
    char doing[128];
    snprintf(doing, sizeof doing, "read '%s'", name);
    return rw_dataset_hdf5_fail(path, doing, damaged);
}

static rw_status cannot_write(const char *path, const char *name)
{
    char doing[128];
    snprintf(doing, sizeof doing, "write '%s'", name);
    return rw_dataset_hdf5_fail(path, doing, "check the space and the quota of the folder");
}

static void close_valid(hid_t id, herr_t (*close)(hid_t))
{
    if (id >= 0) close(id);
}

/* In what follows, messages are recorded before anything is closed: every call
 * of HDF5 forgets the reason why the one before it failed. */

static rw_status put_attribute(hid_t file, const char *path, const char *name, hid_t stored,
                               hid_t memory, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    bool written = attribute >= 0 && H5Awrite(attribute, memory, value) >= 0;
    rw_status status = written ? RW_OK : cannot_write(path, name);
    close_valid(attribute, H5Aclose);
    close_valid(space, H5Sclose);
    return status;
}

static hid_t string_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0) H5Tset_size(type, bytes);
    return type;
}

rw_status rw_field_put_number(hid_t file, const char *path, const char *name, uint64_t value)
{
    return put_attribute(file, path, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}

rw_status rw_field_put_string(hid_t file, const char *path, const char *name, const char *text)
{
    hid_t type = string_type(strlen(text) + 1);
    rw_status status = put_attribute(file, path, name, type, type, text);
    close_valid(type, H5Tclose);
    return status;
}

/* Opens a scalar attribute whose values have the class `wanted`; -1 if it is not so. */
static hid_t open_attribute(hid_t file, const char *name, H5T_class_t wanted, hid_t *type)
{
    *type = -1;
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    if (attribute < 0) return -1;
    hid_t space = H5Aget_space(attribute);
    *type = H5Aget_type(attribute);
    bool fits = H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(*type) == wanted;
    close_valid(space, H5Sclose);
    if (fits) return attribute;
    H5Aclose(attribute);
    return -1;
}

rw_status rw_field_get_number(hid_t file, const char *path, const char *name, uint64_t *out)
{
    hid_t type, attribute = open_attribute(file, name, H5T_INTEGER, &type);
    bool read = attribute >= 0 && H5Aread(attribute, H5T_NATIVE_UINT64, out) >= 0;
    rw_status status = read ? RW_OK : cannot_read(path, name);
    close_valid(attribute, H5Aclose);
    close_valid(type, H5Tclose);
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
    close_valid(attribute, H5Aclose);
    close_valid(type, H5Tclose);
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
    rw_status status = written ? RW_OK : cannot_write(path, name);
    close_valid(set, H5Dclose);
    close_valid(creation, H5Pclose);
    close_valid(space, H5Sclose);
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
    hid_t type = string_type(stride);
    rw_status status = put_list(file, path, name, type, type, names, count);
    close_valid(type, H5Tclose);
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
    close_valid(space, H5Sclose);
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
    close_valid(type, H5Tclose);
    close_valid(set, H5Dclose);
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
    close_valid(type, H5Tclose);
    close_valid(set, H5Dclose);
    return status;
}
