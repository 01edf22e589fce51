/* HDF5's manners in this program, and its errors as ours. */
#ifndef RW_HDF5_ERROR_H
#define RW_HDF5_ERROR_H

#include "base/status.h"

/* Before any other call of HDF5, under rw_hdf5_lock(): errors are not printed,
 * and nothing of it runs at exit, where it crashes after a failed write. */
void rw_hdf5_start(void);

/* Records that HDF5 could not do `what` to `object`, with the cause that it
 * gives. To be called right after the failed call, under the lock. */
rw_status rw_hdf5_fail(const char *what, const char *object);

#endif
