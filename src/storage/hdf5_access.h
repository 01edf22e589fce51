/* How this program uses HDF5: one thread at a time, silently, and with its
 * errors as ours. */
#ifndef RW_HDF5_ACCESS_H
#define RW_HDF5_ACCESS_H

#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/status.h"

/* Debian's HDF5 is not thread-safe: whoever calls it (prefetch thread,
 * checkpoint writer) holds this lock meanwhile. What follows is called under
 * it, unless it says otherwise. */
void rw_hdf5_lock(void);
void rw_hdf5_unlock(void);

/* Why the last call of HDF5 failed, in few words; the text is the caller's. To
 * be asked at once: every call forgets the reason of the one before it. */
#define RW_HDF5_REASON 512
const char *rw_hdf5_reason(char reason[RW_HDF5_REASON]);

/* Records "HDF5 cannot DOING OBJECT: its reason; ADVICE". To be called at once,
 * as rw_hdf5_reason. */
rw_status rw_hdf5_fail(const char *doing, const char *object, const char *advice);
/* What to do where HDF5 could not write. */
#define RW_HDF5_SPACE "check the space, the quota and your rights in the folder"

/* Closes what is open: nothing happens if `id` is negative. */
void rw_hdf5_close(hid_t id, herr_t (*close)(hid_t));

/* Writes a scalar attribute of the root of the file, whose name is `path` in
 * messages: any value; an unsigned number of 64 bits; a text of fixed length
 * with its final zero. */
rw_status rw_hdf5_put_value(hid_t file, const char *path, const char *name, hid_t stored,
                            hid_t memory, const void *value);
rw_status rw_hdf5_put_number(hid_t file, const char *path, const char *name, uint64_t value);
rw_status rw_hdf5_put_text(hid_t file, const char *path, const char *name, const char *text);
/* Records that `name` of the file could not be read or written ("read"). */
rw_status rw_hdf5_fail_at(const char *doing, const char *name, const char *path,
                          const char *advice);

/* The type of texts of so many bytes; H5Tclose it. Negative on failure. */
hid_t rw_hdf5_text_type(size_t bytes);

#endif
