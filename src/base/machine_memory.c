#include "base/machine_memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1024 };

/* The memory of the machine, in bytes. */
typedef struct {
    size_t memory, swap;
} totals;

static totals read_totals(const char *meminfo)
{
    char line[128];
    unsigned long long value;
    totals all = {0};
    FILE *file = fopen(meminfo, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemTotal: %llu", &value) == 1) all.memory = (size_t)value * 1024;
        if (sscanf(line, "SwapTotal: %llu", &value) == 1) all.swap = (size_t)value * 1024;
    }
    if (file) fclose(file);
    return all;
}

/* A limit in bytes; "max" and other texts: no limit. */
static size_t read_limit(const char *folder, const char *name)
{
    char path[PATH_BYTES + 32];
    unsigned long long value;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file) return SIZE_MAX;
    bool found = fscanf(file, "%llu", &value) == 1;
    fclose(file);
    return found ? (size_t)value : SIZE_MAX;
}

/* The limit of the group, with the swap space of the machine that the group may use. */
static size_t limit_of(const char *folder, const totals *all)
{
    size_t memory = read_limit(folder, "memory.max"), swap;
    if (memory != SIZE_MAX) {
        swap = read_limit(folder, "memory.swap.max");
        if (swap > all->swap) swap = all->swap;
        return swap < SIZE_MAX - memory ? memory + swap : SIZE_MAX;
    }
    swap = read_limit(folder, "memory.memsw.limit_in_bytes"); /* version 1: both together */
    memory = read_limit(folder, "memory.limit_in_bytes");
    return swap != SIZE_MAX ? swap : memory;
}

/* The smallest limit of the group at `path` below `mount` and of all groups around it. */
static size_t walk_up(const char *mount, const char *path, const totals *all)
{
    char folder[PATH_BYTES];
    size_t root = strlen(mount), least = SIZE_MAX;
    snprintf(folder, sizeof folder, "%s%s", mount, path);
    for (;;) {
        size_t limit = limit_of(folder, all);
        if (limit < least) least = limit;
        char *slash = strlen(folder) > root ? strrchr(folder + root, '/') : NULL;
        if (!slash) return least;
        *slash = '\0';
    }
}

/* The limit of a line of /proc/self/cgroup: "0::/path" of version 2, with a single line, or
 * "9:memory:/path" of version 1. */
static size_t limit_of_line(char *line, const char *mount, const totals *all)
{
    char below[PATH_BYTES];
    line[strcspn(line, "\n")] = '\0';
    char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
    if (!path) return SIZE_MAX;
    *path++ = '\0';
    bool second = names[1] == '\0';
    if (!second && !strstr(names + 1, "memory")) return SIZE_MAX;
    snprintf(below, sizeof below, "%.900s%s", mount, second ? "" : "/memory");
    return walk_up(below, strcmp(path, "/") == 0 ? "" : path, all);
}

size_t rw_machine_memory_in(const char *meminfo, const char *membership, const char *mount)
{
    char line[PATH_BYTES];
    totals all = read_totals(meminfo);
    size_t least = all.memory ? all.memory + all.swap : SIZE_MAX;
    FILE *file = fopen(membership, "r");
    while (file && fgets(line, sizeof line, file)) {
        size_t limit = limit_of_line(line, mount, &all);
        if (limit < least) least = limit;
    }
    if (file) fclose(file);
    return least;
}

static size_t known;

static void find(void)
{
    known = rw_machine_memory_in("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup");
}

size_t rw_machine_memory(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return known;
}
