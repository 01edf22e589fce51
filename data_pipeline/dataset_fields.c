#include "data_pipeline/dataset_fields.h"

#include <stdbool.h>

#include "data_pipeline/dataset_header.h"
#include "storage/hdf5_access.h"

/* Messages are recorded before files are closed: every call of HDF5 forgets the reason of the
 * failure before. */
static rw_status write_values(hid_t set, const char *path, const char *name, hid_t memory,
                              const void *values, size_t count, uint64_t *offset)
{
    bool written = set >= 0;
    if (written && count > 0)
        written = H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    *offset = written && count > 0 ? H5Dget_offset(set) : RW_DATASET_HEADER;
    if (*offset == HADDR_UNDEF) written = false;
    return written ? RW_OK : rw_hdf5_fail_at("write", name, path, RW_HDF5_SPACE);
}

static rw_status put_list(hid_t file, const char *path, const char *name, hid_t stored,
                          hid_t memory, const void *values, size_t count, uint64_t *offset)
{
    hsize_t extent = count;
    hid_t space = H5Screate_simple(1, &extent, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    /* Without times, equal inputs give equal files. */
    H5Pset_obj_track_times(creation, false);
    hid_t set = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    rw_status status = write_values(set, path, name, memory, values, count, offset);
    /* Closing writes, so it can fail like a write. */
    if (set >= 0 && H5Dclose(set) < 0 && status == RW_OK)
        status = rw_hdf5_fail_at("close", name, path, RW_HDF5_SPACE);
    rw_hdf5_close(creation, H5Pclose);
    rw_hdf5_close(space, H5Sclose);
    return status;
}

rw_status rw_field_put_numbers(hid_t file, const char *path, const char *name,
                               const uint64_t *values, size_t count, uint64_t *offset)
{
    return put_list(file, path, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, values, count, offset);
}

rw_status rw_field_put_names(hid_t file, const char *path, const char *name, const char *names,
                             size_t stride, size_t count, uint64_t *offset)
{
    hid_t type = rw_hdf5_text_type(stride);
    rw_status status = put_list(file, path, name, type, type, names, count, offset);
    rw_hdf5_close(type, H5Tclose);
    return status;
}
