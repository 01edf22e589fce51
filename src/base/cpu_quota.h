/* How much processor time a container or a job may use: quotas of control groups. */
#ifndef RW_CPU_QUOTA_H
#define RW_CPU_QUOTA_H

#include <stddef.h>

#define RW_CPU_GROUP_SIZE 512

/* The smallest quota of the control groups (cgroup version 1 or 2) that this process is in,
 * in cores (processor seconds a second); 0: there is no quota. `group`: the path of the
 * control group that sets the quota; processes with the same path share the quota. Not
 * collective. */
double rw_cpu_quota(char group[RW_CPU_GROUP_SIZE]);

/* The same, of other places: `membership` is a file like /proc/self/cgroup, `mount` a folder
 * like /sys/fs/cgroup. */
double rw_cpu_quota_in(const char *membership, const char *mount, char group[RW_CPU_GROUP_SIZE]);

#endif
