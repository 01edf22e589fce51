#include "base/cpu_quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 2 * RW_CPU_GROUP_SIZE };

/* The smallest quota found so far. */
typedef struct {
    double cores; /* 0: none */
    char *group;
} smallest;

static void take(smallest *found, double quota, double period, const char *folder)
{
    if (quota <= 0 || period <= 0) return;
    if (found->cores > 0 && found->cores <= quota / period) return;
    found->cores = quota / period;
    snprintf(found->group, RW_CPU_GROUP_SIZE, "%s", folder);
}

static bool read_numbers(const char *folder, const char *name, double *first, double *second)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    int wanted = second ? 2 : 1;
    bool found = fscanf(file, "%lf %lf", first, second ? second : first) >= wanted;
    fclose(file);
    return found;
}

/* cpu.max holds "max PERIOD" (no quota) or "QUOTA PERIOD", in microseconds; version 1 has
 * two files, and -1 for no quota. */
static void look_at(const char *folder, smallest *found)
{
    double quota = 0, period = 0;
    if (read_numbers(folder, "cpu.max", &quota, &period)) take(found, quota, period, folder);
    if (read_numbers(folder, "cpu.cfs_quota_us", &quota, NULL) &&
        read_numbers(folder, "cpu.cfs_period_us", &period, NULL))
        take(found, quota, period, folder);
}

/* Reads the group at `path` below `root`, and all groups around it. */
static void walk_up(const char *root, const char *path, smallest *found)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s%s", root, path);
    size_t end = strlen(root);
    for (;;) {
        while (strlen(folder) > end && folder[strlen(folder) - 1] == '/')
            folder[strlen(folder) - 1] = '\0';
        look_at(folder, found);
        char *slash = strlen(folder) > end ? strrchr(folder + end, '/') : NULL;
        if (!slash) return;
        *slash = '\0';
    }
}

static bool names_cpu(const char *controllers)
{
    char list[128];
    snprintf(list, sizeof list, ",%s,", controllers);
    return strstr(list, ",cpu,") != NULL;
}

/* A line of the membership: "0::/path" (version 2), "4:cpu,cpuacct:/path" (version 1). */
static void look_at_line(char *line, const char *mount, smallest *found)
{
    char root[PATH_BYTES];
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) return;
    *path++ = '\0';
    controllers++;
    path[strcspn(path, "\n")] = '\0';
    if (strncmp(path, "/..", 3) == 0) path[0] = '\0'; /* outside of this container's view */
    if (controllers[0] == '\0') {
        walk_up(mount, path, found);
        snprintf(root, sizeof root, "%s/unified", mount);
        walk_up(root, path, found);
    } else if (names_cpu(controllers)) {
        snprintf(root, sizeof root, "%s/%s", mount, controllers);
        walk_up(root, path, found);
        snprintf(root, sizeof root, "%s/cpu", mount);
        walk_up(root, path, found);
    }
}

double rw_cpu_quota_in(const char *membership, const char *mount, char group[RW_CPU_GROUP_SIZE])
{
    smallest found = {.group = group};
    char line[RW_CPU_GROUP_SIZE];
    group[0] = '\0';
    FILE *file = fopen(membership, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) look_at_line(line, mount, &found);
    fclose(file);
    return found.cores;
}

double rw_cpu_quota(char group[RW_CPU_GROUP_SIZE])
{
    return rw_cpu_quota_in("/proc/self/cgroup", "/sys/fs/cgroup", group);
}
