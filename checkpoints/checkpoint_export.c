/* A checkpoint's weights as one plain HDF5 file: no filters, no virtual
 * datasets, for programs that know nothing of ropewalk. */
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/hdf5_image.h"
#include "checkpoints/tensor_stream.h"
#include "checkpoints/virtual_index.h"
#include "storage/durable_file.h"
#include "storage/hdf5_access.h"

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
        status = rw_hdf5_fail("write the dataset", name, RW_HDF5_SPACE);
    if (dataset >= 0 && H5Dclose(dataset) < 0 && status == RW_OK)
        status = rw_hdf5_fail("close the dataset", name, RW_HDF5_SPACE);
    return status;
}

static rw_status write_tensor(const exporting *e, const rw_manifest_tensor *tensor)
{
    rw_hdf5_lock();
    hid_t type = rw_element_type(rw_dtype_bytes(e->manifest->dtype));
    hid_t space = rw_shape_space(tensor->dims, tensor->shape);
    rw_status status = write_dataset(e, tensor->name, type, space, e->tensor);
    rw_hdf5_close(space, H5Sclose);
    rw_hdf5_unlock();
    return status;
}

static rw_status write_config(const exporting *e)
{
    rw_hdf5_lock();
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t type = rw_hdf5_text_type(strlen(e->manifest->config) + 1);
    rw_status status = write_dataset(e, "config", type, space, e->manifest->config);
    rw_hdf5_close(type, H5Tclose);
    rw_hdf5_close(space, H5Sclose);
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
    e->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (e->file < 0) status = rw_hdf5_fail("create", path, RW_HDF5_SPACE);
    if (status == RW_OK) e->link = rw_link_creation();
    if (status == RW_OK && e->link < 0) status = rw_hdf5_fail("prepare", path, RW_HDF5_SPACE);
    if (status == RW_OK) status = rw_attributes_add(e->file, path, e->manifest);
    rw_hdf5_unlock();
    return status;
}

/* HDF5 may keep what it could not write until here: closing can fail too. */
static rw_status close_file(exporting *e, const char *path)
{
    rw_status status = RW_OK;
    rw_hdf5_lock();
    rw_hdf5_close(e->link, H5Pclose);
    if (e->file >= 0 && H5Fclose(e->file) < 0) status = rw_hdf5_fail("close", path, RW_HDF5_SPACE);
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
    char *fresh = NULL;
    rw_checkpoint *checkpoint = NULL;
    rw_status status = RW_OK;
    RW_TRY_DONE(rw_checkpoint_open(path, &checkpoint));
    RW_TRY_DONE(rw_path_temporary(out_path, &fresh));
    status = rw_file_publish(write_file(checkpoint, fresh), fresh, out_path);
done:
    rw_free(&fresh);
    rw_checkpoint_close(&checkpoint);
    return status;
}
