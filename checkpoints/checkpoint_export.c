/* The weights of a checkpoint as a plain HDF5 file: no filters, no virtual datasets, for programs
 * that do not know ropewalk. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/hdf5_image.h"
#include "checkpoints/tensor_stream.h"
#include "checkpoints/virtual_index.h"
#include "storage/durable_file.h"
#include "storage/hdf5_access.h"
#include "storage/writer_lock.h"

#define EXPORT_KIND "exported weights"
#define HEAD_BYTES  ((size_t)64 << 10) /* of an export: its attributes are in there */

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

/* Collects a tensor from its runs and writes it after the last run. */
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
    e->file = H5Fcreate(path, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
    if (e->file < 0) status = rw_hdf5_fail("create", path, RW_HDF5_SPACE);
    if (status == RW_OK) e->link = rw_link_creation();
    if (status == RW_OK && e->link < 0) status = rw_hdf5_fail("prepare", path, RW_HDF5_SPACE);
    if (status == RW_OK) status = rw_attributes_add(e->file, path, e->manifest);
    if (status == RW_OK) status = rw_hdf5_put_text(e->file, path, "kind", EXPORT_KIND);
    rw_hdf5_unlock();
    return status;
}

/* HDF5 may keep unwritten data until here: closing can fail too. */
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

/* ---- What it replaces ------------------------------------------------------------- */

/* Does `path` lead to a file of the checkpoint? */
static rw_status is_input(const rw_checkpoint *checkpoint, const char *path, bool *input)
{
    const rw_manifest *manifest = checkpoint->manifest;
    *input = false;
    for (size_t i = 0; i <= manifest->file_count && !*input; i++) {
        const char *name = i < manifest->file_count ? manifest->files[i].name : RW_MANIFEST_FILE;
        char *file;
        RW_TRY(rw_path_join(checkpoint->folder, name, &file));
        *input = rw_same_file(file, path);
        rw_free(&file);
    }
    return RW_OK;
}

/* Decided from the bytes: foreign files are not opened with HDF5. */
static bool is_export(const char *head, size_t size)
{
    static const char signature[] = "\211HDF\r\n\032\n";
    return size > 8 && memcmp(head, signature, 8) == 0 &&
           memmem(head, size, EXPORT_KIND, strlen(EXPORT_KIND)) &&
           memmem(head, size, RW_CHECKPOINT_FORMAT, strlen(RW_CHECKPOINT_FORMAT));
}

static rw_status check_target(const rw_checkpoint *checkpoint, const char *path, bool force)
{
    struct stat about;
    char *head;
    size_t size;
    bool input;
    if (lstat(path, &about) < 0) return RW_OK;
    RW_TRY(is_input(checkpoint, path, &input));
    if (input)
        return rw_fail(RW_ERROR,
                       "%s is a file of the checkpoint itself; choose another name for "
                       "the export",
                       path);
    RW_TRY(rw_file_head(path, HEAD_BYTES, &head, &size));
    if (!head)
        return rw_fail(RW_ERROR,
                       "%s is a folder, a link or a device; only a file can be replaced "
                       "by an export",
                       path);
    bool ours = force || is_export(head, size);
    rw_free(&head);
    if (ours) return RW_OK;
    return rw_fail(RW_ERROR,
                   "%s is no export of ropewalk; choose another name, or replace it with --force",
                   path);
}

static rw_status export(const rw_checkpoint *checkpoint, const char *path)
{
    char *fresh;
    rw_temporaries_clean(path);
    RW_TRY(rw_path_temporary(path, &fresh));
    rw_file_call.unlink(fresh);
    rw_status status = rw_file_publish(write_file(checkpoint, fresh), fresh, path);
    rw_free(&fresh);
    return status;
}

rw_status rw_checkpoint_export(const char *path, const char *out_path, bool force)
{
    char *name = NULL;
    rw_writer_lock *lock = NULL;
    rw_checkpoint *checkpoint = NULL;
    rw_status status = RW_OK;
    RW_TRY_DONE(rw_checkpoint_open(path, &checkpoint));
    RW_TRY_DONE(check_target(checkpoint, out_path, force));
    RW_TRY_DONE(rw_path_extend(out_path, ".lock", &name));
    RW_TRY_DONE(rw_writer_lock_take(name, out_path, "choose another name", &lock));
    status = export(checkpoint, out_path);
done:
    rw_writer_lock_release(&lock);
    rw_free(&name);
    rw_checkpoint_close(&checkpoint);
    return status;
}
