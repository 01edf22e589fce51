/* The memory that processes of this machine may use. */
#ifndef RW_MACHINE_MEMORY_H
#define RW_MACHINE_MEMORY_H

#include <stddef.h>

/* Bytes of memory and swap space together, or the smallest limit of the control groups (cgroup
 * version 1 or 2) of this process, as set for jobs and containers; SIZE_MAX if unknown. Read at the
 * first call. Not collective; thread-safe. */
size_t rw_machine_memory(void);

/* The same, of other places: `membership` is a file like /proc/self/cgroup, `mount` a folder
 * like /sys/fs/cgroup, `meminfo` a file like /proc/meminfo. */
size_t rw_machine_memory_in(const char *meminfo, const char *membership, const char *mount);

#endif
