#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cpu_quota.h"
#include "cli/doctor.h"
#include "cli/program.h"
#include "storage/durable_file.h"

#define GIB (1024.0 * 1024.0 * 1024.0)

/* Copies the text after "name" and its separator in the first line of a file such as /proc/meminfo
 * that begins with the name; the whole first line if name is empty. False without such a line. */
static bool read_line(const char *path, const char *name, char *value, size_t size)
{
    FILE *file = fopen(path, "r");
    char line[4096];
    bool found = false;
    if (!file) return false;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        const char *start = line + strlen(name);
        start += strspn(start, name[0] ? " \t:" : "");
        snprintf(value, size, "%.*s", (int)strcspn(start, "\n"), start);
        found = true;
    }
    fclose(file);
    return found;
}

/* Has the processor wider vectors than the program makes use of? */
static bool has_wider(void)
{
#if defined(__AVX512F__)
    return false;
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx512f");
#elif defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

void rw_doctor_processor(rw_doctor *doctor)
{
    char model[128] = "unknown processor";
    const rw_program *program = rw_program_self();
    read_line("/proc/cpuinfo", "model name", model, sizeof model);
    bool wider = has_wider();
    rw_doctor_say(doctor, wider ? RW_VERDICT_WARN : RW_VERDICT_OK, "processor",
                  "%s; instruction set %s (%s)", model, program->name, program->vectors);
    if (wider)
        rw_doctor_advise("it has wider vectors: unset ROPEWALK_ISA; else build on this machine, or "
                         "with --with-march=dispatch");
}

void rw_doctor_cores(rw_doctor *doctor)
{
    cpu_set_t allowed;
    long online = sysconf(_SC_NPROCESSORS_ONLN), usable = online;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) usable = CPU_COUNT(&allowed);
    char group[RW_CPU_GROUP_SIZE];
    double quota = rw_cpu_quota(group);
    bool throttled = quota > 0 && quota < (double)usable;
    rw_doctor_say(doctor, throttled ? RW_VERDICT_WARN : RW_VERDICT_OK, "cores",
                  "%ld of %ld usable by this process", usable, online);
    if (throttled)
        rw_doctor_advise("the quota of %s allows only %.1f of them; parallel.threads: auto keeps "
                         "to it",
                         group, quota);
}

void rw_doctor_memory(rw_doctor *doctor)
{
    char line[64] = "0";
    read_line("/proc/meminfo", "MemTotal", line, sizeof line);
    double total = strtod(line, NULL) * 1024 / GIB;
    read_line("/proc/meminfo", "MemAvailable", line, sizeof line);
    double available = strtod(line, NULL) * 1024 / GIB, limit = 0;
    if (read_line("/sys/fs/cgroup/memory.max", "", line, sizeof line))
        limit = strtod(line, NULL) / GIB; /* "max" reads as 0 */
    if (limit > 0 && limit < total) total = limit;
    if (available > total) available = total;
    bool scarce = available < 1;
    rw_doctor_say(doctor, scarce ? RW_VERDICT_WARN : RW_VERDICT_OK, "memory",
                  "%.1f GiB of %.1f GiB available", available, total);
    if (scarce) rw_doctor_advise("close other programs; a small model needs about 1 GiB");
}

/* Checkpoints are committed by write, fsync, rename and fsync of the folder. */
static void try_commit(rw_doctor *doctor)
{
    char name[64];
    snprintf(name, sizeof name, ".ropewalk-doctor-%ld", (long)getpid());
    rw_status status = rw_file_replace(name, name, sizeof name);
    unlink(name);
    if (status == RW_OK) {
        rw_doctor_say(doctor, RW_VERDICT_OK, "this folder", "write, fsync and rename work");
        return;
    }
    rw_doctor_say(doctor, RW_VERDICT_FAIL, "this folder", "%s", rw_message());
    rw_doctor_advise(
        "checkpoints need it: work in another folder, or use ropewalk train --run-dir DIR");
    rw_clear_message();
}

void rw_doctor_folder(rw_doctor *doctor)
{
    struct statvfs space;
    try_commit(doctor);
    if (statvfs(".", &space) == 0) {
        double available = (double)space.f_bavail * (double)space.f_frsize / GIB;
        rw_doctor_say(doctor, available < 2 ? RW_VERDICT_WARN : RW_VERDICT_OK, "disk",
                      "%.1f GiB free here", available);
        if (available < 2)
            rw_doctor_advise("a checkpoint takes 12 bytes a parameter; lower checkpoint.keep");
    }
    if (statvfs("/dev/shm", &space) != 0) return;
    double shared = (double)space.f_bavail * (double)space.f_frsize / GIB;
    rw_doctor_say(doctor, shared < 0.0625 ? RW_VERDICT_WARN : RW_VERDICT_OK, "/dev/shm",
                  "%.2f GiB free", shared);
    if (shared < 0.0625)
        rw_doctor_advise("ranks of one host talk through it: give the container --shm-size=1g");
}

static void say_limit(rw_doctor *doctor, const char *subject, int resource, double least,
                      const char *advice)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return;
    char text[32] = "unlimited";
    if (limit.rlim_cur != RLIM_INFINITY)
        snprintf(text, sizeof text, "%llu", (unsigned long long)limit.rlim_cur);
    bool low = limit.rlim_cur != RLIM_INFINITY && (double)limit.rlim_cur < least;
    rw_doctor_say(doctor, low ? RW_VERDICT_WARN : RW_VERDICT_OK, subject, "%s", text);
    if (low) rw_doctor_advise("%s", advice);
}

void rw_doctor_limits(rw_doctor *doctor)
{
    say_limit(doctor, "open files", RLIMIT_NOFILE, 1024,
              "ulimit -n 4096: each rank holds connections and files open");
    say_limit(doctor, "stack bytes", RLIMIT_STACK, 4 << 20, "ulimit -s 8192");
    say_limit(doctor, "locked bytes", RLIMIT_MEMLOCK, 64 << 10,
              "ulimit -l unlimited: InfiniBand and the like need locked memory");
    const double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    say_limit(doctor, "data bytes", RLIMIT_DATA, memory,
              "ulimit -d unlimited: ranks cannot use all of the memory");
    say_limit(doctor, "address bytes", RLIMIT_AS, memory,
              "ulimit -v unlimited: ranks cannot use all of the memory");
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0)
        rw_doctor_say(doctor, RW_VERDICT_OK, "core dumps",
                      core.rlim_cur == 0 ? "off (ulimit -c unlimited to debug a crash)"
                                         : "on (as large as a rank's memory; ulimit -c 0)");
}
