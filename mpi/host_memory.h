/* Do the ranks of each host have room for what they plan? Large buffers take no memory
 * before they are used, so without this question the kernel would end a rank in the middle
 * of a step, without a message. */
#ifndef RW_HOST_MEMORY_H
#define RW_HOST_MEMORY_H

#include "base/status.h"
#include "mpi/layout.h"

/* Compares the memory that all ranks of a host have in use (rw_memory_in_use) with what the
 * host has (rw_memory_limit). Collective over layout->world: all ranks get the failure
 * (RW_ERROR) of any host. */
rw_status rw_host_memory_check(const rw_layout *layout);

#endif
