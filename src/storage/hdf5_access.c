#include "storage/hdf5_access.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* No HDF5 code runs at exit, where it crashes after a failed write; this must be requested before
 * its first call. In a thread-safe HDF5 each thread has its own stack of errors, and must be told
 * not to print. */
void rw_hdf5_lock(void)
{
    pthread_mutex_lock(&lock);
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void rw_hdf5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* The innermost error is the cause, and comes first. */
static herr_t keep_cause(unsigned n, const H5E_error2_t *error, void *reason)
{
    if (n == 0 && error->desc) snprintf(reason, RW_HDF5_REASON, "%s", error->desc);
    return 0;
}

const char *rw_hdf5_reason(char reason[RW_HDF5_REASON])
{
    static const char marker[] = "error message = '";
    snprintf(reason, RW_HDF5_REASON, "it does not have the form it should have");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_cause, reason);
    H5Eclear2(H5E_DEFAULT);
    /* HDF5 wraps a message of the system in many more words. */
    char *begin = strstr(reason, marker);
    if (!begin) return reason;
    begin += strlen(marker);
    begin[strcspn(begin, "'")] = '\0';
    return begin;
}

rw_status rw_hdf5_fail(const char *doing, const char *object, const char *advice)
{
    char reason[RW_HDF5_REASON];
    return rw_fail(RW_ERROR, "HDF5 cannot %s %s: %s; %s", doing, object, rw_hdf5_reason(reason),
                   advice);
}

void rw_hdf5_close(hid_t id, herr_t (*close)(hid_t))
{
    if (id >= 0) close(id);
}

rw_status rw_hdf5_fail_at(const char *doing, const char *name, const char *path, const char *advice)
{
    char part[128];
    snprintf(part, sizeof part, "%s '%s' of", doing, name);
    return rw_hdf5_fail(part, path, advice);
}

rw_status rw_hdf5_put_value(hid_t file, const char *path, const char *name, hid_t stored,
                            hid_t memory, const void *value)
{
    hid_t scalar = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, stored, scalar, H5P_DEFAULT, H5P_DEFAULT);
    bool written = attribute >= 0 && H5Awrite(attribute, memory, value) >= 0;
    rw_status status = written ? RW_OK : rw_hdf5_fail_at("write", name, path, RW_HDF5_SPACE);
    /* Closing writes, so it can fail like a write. */
    if (attribute >= 0 && H5Aclose(attribute) < 0 && status == RW_OK)
        status = rw_hdf5_fail_at("close", name, path, RW_HDF5_SPACE);
    rw_hdf5_close(scalar, H5Sclose);
    return status;
}

rw_status rw_hdf5_put_number(hid_t file, const char *path, const char *name, uint64_t value)
{
    return rw_hdf5_put_value(file, path, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}

hid_t rw_hdf5_text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0) H5Tset_size(type, bytes);
    return type;
}

rw_status rw_hdf5_put_text(hid_t file, const char *path, const char *name, const char *text)
{
    hid_t type = rw_hdf5_text_type(strlen(text) + 1);
    rw_status status = rw_hdf5_put_value(file, path, name, type, type, text);
    rw_hdf5_close(type, H5Tclose);
    return status;
}
