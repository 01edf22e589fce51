/* A checkpoint's weights as one plain HDF5 file: no filters, no virtual
 * datasets, for programs that know nothing of ropewalk. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "base/hdf5_lock.h"
#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/durable_file.h"
#include "checkpoints/hdf5_error.h"
#include "checkpoints/tensor_stream.h"
#include "checkpoints/virtual_index.h"

typedef struct {
    const rw_manifest *manifest;
    hid_t file, link;
    unsigned char *tensor; /* the one that is being put together */
} exporting;

static bool is_weight(void *state, size_t tensor)
{
    const exporting *e = state;
    return strncmp(e->manifest->tensors[tensor].name, "param/", 6) == 0;
}

static rw_status write_dataset(const exporting *e, const char *name, hid_t type, hid_t space,
                               const void *data)
{
    rw_status status = RW_OK;
    hid_t dataset = space < 0 || type < 0
                        ? H5I_INVALID_HID
                        : H5Dcreate2(e->file, name, type, space, e->link, H5P_DEFAULT, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        status = rw_hdf5_fail("write the dataset", name);
    if (dataset >= 0 && H5Dclose(dataset) < 0 && status == RW_OK)
        status = rw_hdf5_fail("close the dataset", name);
    return status;
}

static rw_status write_tensor(const exporting *e, const rw_manifest_tensor *tensor)
{
    hsize_t shape[RW_MAX_DIMS];
    for (int d = 0; d < tensor->dims; d++) shape[d] = tensor->shape[d];
    rw_hdf5_lock();
    hid_t type = rw_dtype_bytes(e->manifest->dtype) == 8 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE;
    hid_t space = H5Screate_simple(tensor->dims, shape, NULL);
    rw_status status = write_dataset(e, tensor->name, type, space, e->tensor);
    if (space >= 0) H5Sclose(space);
    rw_hdf5_unlock();
    return status;
}

static rw_status write_config(const exporting *e)
{
    rw_hdf5_lock();
    hid_t space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    rw_status status = RW_OK;
    if (type < 0 || H5Tset_size(type, strlen(e->manifest->config) + 1) < 0)
        status = rw_hdf5_fail("prepare the dataset", "config");
    else
        status = write_dataset(e, "config", type, space, e->manifest->config);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    rw_hdf5_unlock();
    return status;
}

/* Puts a tensor together from its runs and writes it after the last. */
static rw_status gather(void *state, size_t tensor, size_t begin, const void *bytes, size_t size)
{
    exporting *e = state;
    size_t whole = rw_manifest_tensor_bytes(e->manifest, tensor);
    if (begin == 0) {
        rw_free(&e->tensor);
        RW_TRY(rw_alloc(whole, 1, "a tensor to export", &e->tensor));
    }
    memcpy(e->tensor + begin, bytes, size);
    return begin + size == whole ? write_tensor(e, &e->manifest->tensors[tensor]) : RW_OK;
}

static rw_status create_file(exporting *e, const char *path)
{
    rw_status status = RW_OK;
    rw_hdf5_lock();
    rw_hdf5_start();
    e->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (e->file < 0)
        status = rw_hdf5_fail("create", path); /* the next call would forget the cause */
    else
        e->link = H5Pcreate(H5P_LINK_CREATE);
    if (status == RW_OK && (e->link < 0 || H5Pset_create_intermediate_group(e->link, 1) < 0))
        status = rw_hdf5_fail("prepare", path);
    if (status == RW_OK) status = rw_attributes_add(e->file, e->manifest);
    rw_hdf5_unlock();
    return status;
}

/* HDF5 may keep what it could not write until here: closing can fail too. */
static rw_status close_file(exporting *e, const char *path)
{
    rw_status status = RW_OK;
    rw_hdf5_lock();
    if (e->link >= 0) H5Pclose(e->link);
    if (e->file >= 0 && H5Fclose(e->file) < 0) status = rw_hdf5_fail("close", path);
    rw_hdf5_unlock();
    return status;
}

static rw_status write_file(const rw_checkpoint *checkpoint, const char *path)
{
    exporting e = {.manifest = checkpoint->manifest, .file = -1, .link = -1};
    rw_tensor_sink sink = {.wants = is_weight, .take = gather, .state = &e};
    rw_status status = create_file(&e, path);
    if (status == RW_OK) status = write_config(&e);
    if (status == RW_OK) status = rw_tensors_stream(checkpoint->folder, e.manifest, &sink);
    rw_free(&e.tensor);
    rw_status closed = close_file(&e, path);
    return status == RW_OK ? closed : status;
}

rw_status rw_checkpoint_export(const char *path, const char *out_path)
{
    char suffix[32], *fresh = NULL;
    rw_checkpoint *checkpoint = NULL;
    rw_status status = RW_OK;
    RW_TRY(rw_checkpoint_open(path, &checkpoint));
    snprintf(suffix, sizeof suffix, ".tmp.%ld", (long)getpid());
    RW_TRY_DONE(rw_alloc(strlen(out_path) + sizeof suffix, 1, "a path", &fresh));
    strcpy(fresh, out_path);
    strcat(fresh, suffix);
    status = write_file(checkpoint, fresh);
    if (status == RW_OK) status = rw_file_rename(fresh, out_path);
    if (status != RW_OK) rw_file_call.unlink(fresh);
done:
    rw_free(&fresh);
    rw_checkpoint_close(&checkpoint);
    return status;
}
