/* Access to HDF5: one thread at a time, silently, and with its errors as rw_status. */
#ifndef RW_HDF5_ACCESS_H
#define RW_HDF5_ACCESS_H

#include <stddef.h>
#include <stdint.h>

#include <hdf5.h>

#include "base/status.h"

/* Debian's HDF5 is not thread-safe: its callers (prefetch thread, checkpoint writer) hold this
 * lock. The functions below are called under the lock, unless they say otherwise. */
void rw_hdf5_lock(void);
void rw_hdf5_unlock(void);

/* The reason of the last failure of HDF5, in few words, in a buffer of the caller. Ask at once:
 * every call forgets the reason before. */
#define RW_HDF5_REASON 512
const char *rw_hdf5_reason(char reason[RW_HDF5_REASON]);

/* Records "HDF5 cannot DOING OBJECT: its reason; ADVICE". Call at once, like rw_hdf5_reason. */
rw_status rw_hdf5_fail(const char *doing, const char *object, const char *advice);
/* Advice if HDF5 could not write. */
#define RW_HDF5_SPACE "check the space, the quota and your rights in the folder"

/* Closes `id`; a negative `id` is fine. */
void rw_hdf5_close(hid_t id, herr_t (*close)(hid_t));

/* Writes a scalar attribute of the root of the file, `path` in messages: any value; an unsigned
 * number of 64 bits; a text of fixed length with its final zero. */
rw_status rw_hdf5_put_value(hid_t file, const char *path, const char *name, hid_t stored,
                            hid_t memory, const void *value);
rw_status rw_hdf5_put_number(hid_t file, const char *path, const char *name, uint64_t value);
rw_status rw_hdf5_put_text(hid_t file, const char *path, const char *name, const char *text);
/* Records that `name` of the file could not be read or written ("read"). */
rw_status rw_hdf5_fail_at(const char *doing, const char *name, const char *path,
                          const char *advice);

/* The type of texts of this many bytes; H5Tclose it. Negative on failure. */
hid_t rw_hdf5_text_type(size_t bytes);

#endif
