#include "storage/writer_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "storage/durable_file.h"
#include "storage/lock_holder.h"

#define HELD_MOST   8
#define TAKE_TRIES  100          /* tries for a name that comes and goes, 20 ms apart */
#define GUARD_TRIES 50           /* after this many tries: a newcomer died and left a guard */
#define STACK_BYTES (256 * 1024) /* stack of the counting thread */

struct rw_writer_lock {
    char *path, *fresh; /* the lock file; its temporary name */
    const char *what, *advice;
    rw_lock_holder self;
    char text[RW_LOCK_TEXT];
    pthread_t thread;
    pthread_mutex_t guard; /* guards all members below */
    pthread_cond_t wake;
    bool counting, ending;
    atomic_bool lost;
};

/* The locks of this process, for the checks and for signal handlers. */
static _Atomic(rw_writer_lock *) held[HELD_MOST];

/* ---- The file. No messages: the thread that counts comes here too. ------------------ */

/* Reads the lock file; 0, or the error. A file that is no lock leaves *holder without id. */
static int read_holder(const char *path, int how, rw_lock_holder *holder, int *file)
{
    char text[RW_LOCK_TEXT];
    struct stat about;
    *holder = (rw_lock_holder){0};
    *file = open(path, how | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*file < 0) return errno == ELOOP ? EINVAL : errno;
    ssize_t got = -1;
    int error = fstat(*file, &about) < 0 ? errno : S_ISREG(about.st_mode) ? 0 : EINVAL;
    if (!error) {
        got = pread(*file, text, sizeof text - 1, 0);
        if (got < 0) error = errno;
    }
    text[got > 0 ? got : 0] = '\0';
    if (!error && got > 0 && !rw_lock_holder_parse(text, holder)) error = EINVAL;
    if (!error) return 0;
    close(*file);
    *file = -1;
    return error;
}

/* Writes this process's lock file under its fresh name. */
static int write_fresh(rw_writer_lock *lock)
{
    size_t size = strlen(lock->text);
    int file = open(lock->fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) return errno;
    int error = 0;
    ssize_t written = write(file, lock->text, size);
    if (written != (ssize_t)size) error = written < 0 ? errno : ENOSPC;
    if (!error && fsync(file) < 0) error = errno;
    if (close(file) < 0 && !error) error = errno;
    if (error) unlink(lock->fresh);
    return error;
}

/* Gives the fresh file the name `path`, which must be free: otherwise EEXIST. Over NFS the answer
 * to a successful link may be lost: the count of links tells. */
static int link_fresh(const rw_writer_lock *lock, const char *path)
{
    struct stat about;
    if (link(lock->fresh, path) == 0) return 0;
    int error = errno;
    if (stat(lock->fresh, &about) == 0 && about.st_nlink == 2) return 0;
    if (error != EPERM && error != ENOTSUP && error != ENOSYS && error != EMLINK) return error;
    /* A file system without links: the name is made first, then filled. */
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) return errno;
    size_t size = strlen(lock->text);
    error = write(file, lock->text, size) == (ssize_t)size && fsync(file) == 0 ? 0 : errno;
    close(file);
    if (error) unlink(path);
    return error;
}

static int place(rw_writer_lock *lock)
{
    int error = write_fresh(lock);
    if (error) return error;
    error = link_fresh(lock, lock->path);
    unlink(lock->fresh);
    return error;
}

/* Counts up, if the file still belongs to this process. Sets lost if it belongs to another. */
static int renew(rw_writer_lock *lock)
{
    int file;
    rw_lock_holder holder;
    char digits[RW_LOCK_BEAT + 1];
    int error = read_holder(lock->path, O_RDWR, &holder, &file);
    if (error == ENOENT || error == ESTALE) error = place(lock);
    if (error == EEXIST) return 0; /* another has come just now: seen the next time */
    if (file < 0) return error;
    if (strcmp(holder.id, lock->self.id) != 0) {
        atomic_store(&lock->lost, true);
    } else {
        snprintf(digits, sizeof digits, "%0*llu", RW_LOCK_BEAT, ++lock->self.beat);
        off_t at = (off_t)strlen(lock->text) - RW_LOCK_BEAT - 1;
        if (pwrite(file, digits, RW_LOCK_BEAT, at) < 0 || fsync(file) < 0) error = errno;
    }
    close(file);
    return error;
}

/* ---- The thread that counts ------------------------------------------------------------ */

static struct timespec time_in(double seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long nanoseconds = now.tv_nsec + (long)((seconds - (double)(time_t)seconds) * 1e9);
    now.tv_sec += (time_t)seconds + nanoseconds / 1000000000;
    now.tv_nsec = nanoseconds % 1000000000;
    return now;
}

static void *count(void *state)
{
    rw_writer_lock *lock = state;
    pthread_mutex_lock(&lock->guard);
    while (!lock->ending) {
        struct timespec until = time_in(lock->self.period);
        int woken = 0;
        while (!lock->ending && woken == 0)
            woken = pthread_cond_timedwait(&lock->wake, &lock->guard, &until);
        if (!lock->ending) (void)renew(lock);
    }
    pthread_mutex_unlock(&lock->guard);
    return NULL;
}

/* Signals go to other threads. Without a thread the lock still works, on this host. */
static void start_counting(rw_writer_lock *lock)
{
    sigset_t all, before;
    pthread_attr_t small;
    sigfillset(&all);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    lock->counting = pthread_create(&lock->thread, &small, count, lock) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&small);
}

static void stop_counting(rw_writer_lock *lock)
{
    if (!lock->counting) return;
    pthread_mutex_lock(&lock->guard);
    lock->ending = true;
    pthread_cond_signal(&lock->wake);
    pthread_mutex_unlock(&lock->guard);
    pthread_join(lock->thread, NULL);
    lock->counting = false;
}

/* ---- Taking it --------------------------------------------------------------------------- */

static rw_status cannot_lock(const rw_writer_lock *lock, int error)
{
    return rw_fail(RW_ERROR,
                   "cannot create the lock %s: %s; check that the folder exists and that you may "
                   "write to it",
                   lock->path, strerror(error));
}

static rw_status refuse(const rw_writer_lock *lock, const rw_lock_holder *holder)
{
    char who[512];
    return rw_fail(RW_ERROR, "%s is being written by %s; wait for it, end it, or %s (its lock: %s)",
                   lock->what, rw_lock_holder_describe(holder, who, sizeof who), lock->advice,
                   lock->path);
}

static rw_status refuse_file(const rw_writer_lock *lock, int error)
{
    if (error == EINVAL)
        return rw_fail(RW_ERROR,
                       "%s is no lock of ropewalk, but has the name of one: move it away, or %s",
                       lock->path, lock->advice);
    return rw_fail(RW_ERROR, "cannot read the lock %s: %s; check its permissions", lock->path,
                   strerror(error));
}

/* Replaces the lock of `old`, a process that has ended. Of several newcomers only the newcomer that
 * creates the name LOCK.after-ID succeeds. This newcomer checks the lock once more before the
 * replacement, because the lock may have changed since the first look. */
static int replace(rw_writer_lock *lock, const rw_lock_holder *old, bool patient)
{
    char guard[PATH_MAX];
    rw_lock_holder now, other;
    const char *why;
    int file, error;
    if (snprintf(guard, sizeof guard, "%s.after-%s", lock->path, old->id) >= (int)sizeof guard)
        return ENAMETOOLONG;
    if ((error = write_fresh(lock))) return error;
    error = link_fresh(lock, guard);
    if (error == 0) {
        error = read_holder(lock->path, O_RDONLY, &now, &file);
        if (file >= 0) close(file);
        if (error == 0 && strcmp(now.id, old->id) != 0) error = EAGAIN;
        if (error == 0 && rename(lock->fresh, lock->path) < 0) error = errno;
        unlink(guard);
    } else if (error == EEXIST) {
        /* Another newcomer is replacing the lock, for some milliseconds; or it died there. */
        bool dead = read_holder(guard, O_RDONLY, &other, &file) == 0 &&
                    rw_lock_holder_judge(&other, &lock->self, &why) == RW_HOLDER_IS_GONE;
        if (file >= 0) close(file);
        if (dead || !patient) unlink(guard);
        error = EAGAIN;
    }
    unlink(lock->fresh);
    return error == ENOENT ? EAGAIN : error;
}

static rw_status take_over(rw_writer_lock *lock, const rw_lock_holder *old, const char *why,
                           bool patient, bool *taken)
{
    char who[512];
    int error = replace(lock, old, patient);
    *taken = error == 0;
    if (error && error != EAGAIN) return cannot_lock(lock, error);
    if (*taken)
        rw_warn("taking over %s from %s: %s", lock->what,
                rw_lock_holder_describe(old, who, sizeof who), why);
    else
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return RW_OK;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Watches the counter of a holder on another host for three of its periods, on the clock of this
 * host. *changed: the counter moved, or the file is gone. */
static rw_status watch(const rw_writer_lock *lock, const rw_lock_holder *holder, bool *changed,
                       bool *lives)
{
    char who[512];
    const double whole = 3 * holder->period, until = seconds() + whole;
    const double pause = holder->period / 10 < 1 ? holder->period / 10 : 1;
    const struct timespec rest = {(time_t)pause, (long)((pause - (double)(time_t)pause) * 1e9)};
    *changed = *lives = false;
    rw_info("%s is locked by %s; waiting up to %.0f s for a sign of life", lock->what,
            rw_lock_holder_describe(holder, who, sizeof who), whole);
    while (!*changed && seconds() < until) {
        rw_lock_holder now;
        int file;
        if (nanosleep(&rest, NULL) < 0 && errno == EINTR)
            return rw_fail(RW_INTERRUPTED, "stopped by a signal while waiting for the lock %s",
                           lock->path);
        int error = read_holder(lock->path, O_RDONLY, &now, &file);
        if (file >= 0) close(file);
        *changed = error || strcmp(now.id, holder->id) != 0 || now.beat != holder->beat;
        *lives = *changed && !error && strcmp(now.id, holder->id) == 0;
    }
    return RW_OK;
}

/* The action for an existing lock file. */
static rw_status meet(rw_writer_lock *lock, bool patient, bool *taken)
{
    rw_lock_holder holder;
    const char *why;
    int file, error = read_holder(lock->path, O_RDONLY, &holder, &file);
    if (error == ENOENT || error == ESTALE) return RW_OK;
    if (error) return refuse_file(lock, error);
    close(file);
    if (!holder.id[0]) {
        /* Made on a file system without links, and not filled yet. */
        strcpy(holder.host, "?");
        holder.period = lock->self.period;
    }
    bool changed = false, lives = false;
    rw_holder_state state = rw_lock_holder_judge(&holder, &lock->self, &why);
    if (state == RW_HOLDER_IS_FAR) {
        RW_TRY(watch(lock, &holder, &changed, &lives));
        why = "it gave no sign of life";
    }
    if (state == RW_HOLDER_LIVES || lives) return refuse(lock, &holder);
    return changed ? RW_OK : take_over(lock, &holder, why, patient, taken);
}

static rw_status take(rw_writer_lock *lock)
{
    bool taken = false;
    int error = EEXIST;
    for (int i = 0; !taken && i < TAKE_TRIES; i++) {
        error = place(lock);
        if (error == 0) return RW_OK;
        if (error == ENOENT && i < 3) continue; /* a holder cleans up: clean() */
        if (error != EEXIST) break;
        RW_TRY(meet(lock, i < GUARD_TRIES, &taken));
    }
    return taken ? RW_OK : cannot_lock(lock, error);
}

static rw_status enlist(rw_writer_lock *lock)
{
    for (int i = 0; i < HELD_MOST; i++) {
        rw_writer_lock *none = NULL;
        if (atomic_compare_exchange_strong(&held[i], &none, lock)) return RW_OK;
    }
    return rw_fail(RW_ERROR, "too many locks in one process: %s is one more than %d", lock->path,
                   HELD_MOST);
}

static void free_lock(rw_writer_lock **lock)
{
    if (*lock) {
        pthread_cond_destroy(&(*lock)->wake);
        pthread_mutex_destroy(&(*lock)->guard);
        rw_free(&(*lock)->path);
        rw_free(&(*lock)->fresh);
    }
    rw_free(lock);
}

static rw_status new_lock(const char *path, const char *what, const char *advice,
                          rw_writer_lock **out)
{
    char suffix[32];
    pthread_condattr_t clock;
    RW_TRY(rw_alloc(1, sizeof **out, "a lock", out));
    rw_writer_lock *lock = *out;
    lock->what = what;
    lock->advice = advice;
    pthread_mutex_init(&lock->guard, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&lock->wake, &clock);
    pthread_condattr_destroy(&clock);
    rw_lock_holder_self(&lock->self);
    rw_lock_holder_print(&lock->self, lock->text);
    snprintf(suffix, sizeof suffix, ".new-%s", lock->self.id);
    RW_TRY(rw_strdup(path, &lock->path));
    return rw_path_extend(path, suffix, &lock->fresh);
}

/* Is the name LOCK.new-ID or LOCK.after-ID? Newcomers that died left such files. */
static bool is_left(const char *entry, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0) return false;
    const char *kind = entry + length;
    size_t skip = strncmp(kind, ".new-", 5) == 0 ? 5 : strncmp(kind, ".after-", 7) == 0 ? 7 : 0;
    return skip && strlen(kind + skip) == RW_LOCK_ID - 1 &&
           strspn(kind + skip, "0123456789abcdef") == RW_LOCK_ID - 1;
}

/* By the holder. A newcomer whose file is removed creates it a second time. */
static void clean(const rw_writer_lock *lock)
{
    const char *slash = strrchr(lock->path, '/'), *name = slash ? slash + 1 : lock->path;
    char above[PATH_MAX];
    if (snprintf(above, sizeof above, "%s", lock->path) >= (int)sizeof above) return;
    if (slash) above[slash == lock->path ? 1 : slash - lock->path] = '\0';
    DIR *folder = opendir(slash ? above : ".");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (is_left(entry->d_name, name)) unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder) closedir(folder);
}

rw_status rw_writer_lock_take(const char *path, const char *what, const char *advice,
                              rw_writer_lock **out)
{
    rw_status status = RW_OK;
    rw_writer_lock *lock = NULL;
    *out = NULL;
    RW_TRY_DONE(new_lock(path, what, advice, &lock));
    RW_TRY_DONE(take(lock));
    clean(lock);
    status = enlist(lock);
    if (status == RW_OK) start_counting(lock);
    if (status != RW_OK) unlink(lock->path);
done:
    if (status == RW_OK)
        *out = lock;
    else
        free_lock(&lock);
    return status;
}

/* ---- While it is held, and its end ---------------------------------------------------------- */

/* Only open, read, compare, unlink: also for signal handlers. */
static void remove_own(const rw_writer_lock *lock)
{
    char text[RW_LOCK_TEXT];
    int file = open(lock->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return;
    ssize_t got = read(file, text, sizeof text);
    close(file);
    size_t size = strlen(lock->text) - RW_LOCK_BEAT - 1;
    if (got >= (ssize_t)size && memcmp(text, lock->text, size) == 0) unlink(lock->path);
}

void rw_writer_lock_release(rw_writer_lock **lock)
{
    if (!*lock) return;
    stop_counting(*lock);
    for (int i = 0; i < HELD_MOST; i++) {
        rw_writer_lock *own = *lock;
        atomic_compare_exchange_strong(&held[i], &own, NULL);
    }
    remove_own(*lock);
    free_lock(lock);
}

static rw_status check(rw_writer_lock *lock)
{
    rw_lock_holder now;
    char who[512];
    int file;
    pthread_mutex_lock(&lock->guard);
    int error = atomic_load(&lock->lost) ? 0 : renew(lock);
    pthread_mutex_unlock(&lock->guard);
    if (error && !atomic_load(&lock->lost))
        return rw_fail(RW_ERROR, "cannot renew the lock %s: %s; check the file system", lock->path,
                       strerror(error));
    if (!atomic_load(&lock->lost)) return RW_OK;
    error = read_holder(lock->path, O_RDONLY, &now, &file);
    if (file >= 0) close(file);
    return rw_fail(RW_ERROR,
                   "%s was taken over by %s, which held this process for dead; stopped without "
                   "writing anything more to it",
                   lock->what,
                   error ? "another process" : rw_lock_holder_describe(&now, who, sizeof who));
}

rw_status rw_writer_locks_check(void)
{
    for (int i = 0; i < HELD_MOST; i++) {
        rw_writer_lock *lock = atomic_load(&held[i]);
        if (lock) RW_TRY(check(lock));
    }
    return RW_OK;
}

bool rw_writer_locks_lost(void)
{
    bool lost = false;
    for (int i = 0; i < HELD_MOST; i++) {
        rw_writer_lock *lock = atomic_load(&held[i]);
        if (lock && atomic_load(&lock->lost)) lost = true;
    }
    return lost;
}

void rw_writer_locks_drop(void)
{
    for (int i = 0; i < HELD_MOST; i++) {
        const rw_writer_lock *lock = atomic_load(&held[i]);
        if (lock) remove_own(lock);
    }
}
