#include "storage/lock_holder.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LINE "ropewalk lock"
#define PERIOD_MAX 60 /* seconds: nobody waits longer than three periods */

double rw_lock_period = 20;

/* ---- This process ---------------------------------------------------------------- */

static void read_first_line(const char *path, char *line, size_t size)
{
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file) return;
    if (fgets(line, (int)size, file)) line[strcspn(line, "\n")] = '\0';
    fclose(file);
}

/* The start time of the process; 0: there is no process, or it is a zombie. The name in the second
 * field may hold any characters. */
static unsigned long long start_of(long process)
{
    char path[64], line[1024], state = 'Z';
    unsigned long long ticks = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", process);
    read_first_line(path, line, sizeof line);
    const char *end = strrchr(line, ')');
    if (!end || sscanf(end + 1,
                       " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                       "%*s %llu",
                       &state, &ticks) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : ticks;
}

static void draw_id(char id[RW_LOCK_ID])
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        bits = ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ ((uint64_t)getpid() << 16);
    }
    snprintf(id, RW_LOCK_ID, "%016llx", (unsigned long long)bits);
}

static void find_job(rw_lock_holder *out)
{
    const char *job = getenv("SLURM_JOB_ID"), *cluster = getenv("SLURM_CLUSTER_NAME");
    const char *restarts = getenv("SLURM_RESTART_COUNT");
    if (job)
        snprintf(out->job, sizeof out->job, "%s/%s", cluster ? cluster : "", job);
    else
        strcpy(out->job, "-");
    out->attempt = restarts ? strtol(restarts, NULL, 10) : 0;
}

void rw_lock_holder_self(rw_lock_holder *out)
{
    *out = (rw_lock_holder){.process = (long)getpid(), .period = rw_lock_period};
    gethostname(out->host, sizeof out->host - 1);
    read_first_line("/proc/sys/kernel/random/boot_id", out->boot, sizeof out->boot);
    ssize_t length = readlink("/proc/self/ns/pid", out->space, sizeof out->space - 1);
    out->space[length > 0 ? length : 0] = '\0';
    out->started = start_of(out->process);
    find_job(out);
    draw_id(out->id);
    time_t now = time(NULL);
    struct tm parts;
    strftime(out->since, sizeof out->since, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &parts));
}

/* ---- The text of a lock file ------------------------------------------------------- */

void rw_lock_holder_print(const rw_lock_holder *h, char text[RW_LOCK_TEXT])
{
    snprintf(text, RW_LOCK_TEXT,
             FIRST_LINE "\nhost: %s\nprocess: %ld\nstarted: %llu\nboot: %s\nspace: %s\njob: %s\n"
                        "attempt: %ld\nsince: %s\nperiod: %g\nid: %s\nbeat: %0*llu\n",
             h->host, h->process, h->started, h->boot, h->space, h->job, h->attempt, h->since,
             h->period, h->id, RW_LOCK_BEAT, h->beat);
}

/* Copies the value of "\nKEY: " made safe to print; "" if there is none. */
static void take(const char *text, const char *key, char *out, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "\n%s: ", key);
    const char *at = strstr(text, name);
    size_t used = 0;
    if (at)
        for (at += strlen(name); *at && *at != '\n' && used + 1 < size; at++)
            out[used++] = *at >= ' ' && *at <= '~' ? *at : '?';
    out[used] = '\0';
}

static unsigned long long take_number(const char *text, const char *key)
{
    char value[32];
    take(text, key, value, sizeof value);
    return strtoull(value, NULL, 10);
}

bool rw_lock_holder_parse(const char *text, rw_lock_holder *out)
{
    char period[32];
    *out = (rw_lock_holder){.period = rw_lock_period};
    if (strncmp(text, FIRST_LINE "\n", strlen(FIRST_LINE) + 1) != 0) return false;
    take(text, "host", out->host, sizeof out->host);
    take(text, "boot", out->boot, sizeof out->boot);
    take(text, "space", out->space, sizeof out->space);
    take(text, "job", out->job, sizeof out->job);
    take(text, "since", out->since, sizeof out->since);
    take(text, "id", out->id, sizeof out->id);
    out->process = (long)take_number(text, "process");
    out->attempt = (long)take_number(text, "attempt");
    out->started = take_number(text, "started");
    out->beat = take_number(text, "beat");
    take(text, "period", period, sizeof period);
    double seconds = strtod(period, NULL);
    if (seconds > 0 && seconds < PERIOD_MAX) out->period = seconds;
    return true;
}

/* ---- Is the holder still there? ------------------------------------------------------ */

/* Names that many machines share identify no host. */
static bool tells_host(const char *host)
{
    return host[0] && strncmp(host, "localhost", 9) != 0;
}

static rw_holder_state judge_process(const rw_lock_holder *holder, const char **why)
{
    unsigned long long started = start_of(holder->process);
    *why = "that process has ended";
    if (start_of((long)getpid()) == 0) /* no /proc here */
        return kill((pid_t)holder->process, 0) < 0 && errno == ESRCH ? RW_HOLDER_IS_GONE
                                                                     : RW_HOLDER_LIVES;
    return started && started == holder->started ? RW_HOLDER_LIVES : RW_HOLDER_IS_GONE;
}

rw_holder_state rw_lock_holder_judge(const rw_lock_holder *holder, const rw_lock_holder *self,
                                     const char **why)
{
    bool same_boot = holder->boot[0] && strcmp(holder->boot, self->boot) == 0;
    bool same_host = strcmp(holder->host, self->host) == 0;
    bool same_job =
        holder->job[0] && strcmp(holder->job, "-") != 0 && strcmp(holder->job, self->job) == 0;
    *why = "";
    if (same_boot && same_host && strcmp(holder->space, self->space) == 0)
        return judge_process(holder, why);
    if (same_job && holder->attempt < self->attempt) {
        *why = "SLURM has requeued that job, and this is its next attempt";
        return RW_HOLDER_IS_GONE;
    }
    if (same_host && tells_host(self->host) && holder->boot[0] && self->boot[0] && !same_boot) {
        *why = "that host has been started again since";
        return RW_HOLDER_IS_GONE;
    }
    return RW_HOLDER_IS_FAR;
}

const char *rw_lock_holder_describe(const rw_lock_holder *holder, char *text, size_t size)
{
    if (!holder->id[0]) {
        snprintf(text, size, "somebody who has not written who it is (the lock is empty)");
        return text;
    }
    char job[200] = "";
    if (holder->job[0] && strcmp(holder->job, "-") != 0)
        snprintf(job, sizeof job, " (job %s, attempt %ld)", holder->job + (holder->job[0] == '/'),
                 holder->attempt + 1);
    snprintf(text, size, "process %ld on host %s%s, since %s", holder->process, holder->host, job,
             holder->since);
    return text;
}
