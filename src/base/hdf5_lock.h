/* Debian's HDF5 is not thread-safe: whoever calls it (prefetch thread,
 * checkpoint writer) holds this lock meanwhile. */
#ifndef RW_HDF5_LOCK_H
#define RW_HDF5_LOCK_H

void rw_hdf5_lock(void);
void rw_hdf5_unlock(void);

#endif
