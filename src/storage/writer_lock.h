/* One writer: a lock file beside what a process writes, a run folder or a dataset.
 *
 * The file names its holder as text: host, process, SLURM job, time. It appears whole,
 * by link(2), which holds on network file systems too, where flock is often local to one
 * host. A thread of the holder counts up a number in it. A newcomer that finds
 * the file looks whether the holder lives: on the same host by its process; on another
 * one by watching the counter on the newcomer's own clock. A lock whose holder is gone is
 * taken over with a message. A holder that was only cut off finds out before it
 * writes the next time, and stops (rw_writer_locks_check).
 *
 * Not collective: one rank takes the lock, then all agree. */
#ifndef RW_WRITER_LOCK_H
#define RW_WRITER_LOCK_H

#include <stdbool.h>

#include "base/status.h"

typedef struct rw_writer_lock rw_writer_lock;

/* Takes the lock file `path` for writing `what`. If another process holds it, the message says
 * which one and ends with `advice`, e.g. "choose another --run-dir". RW_INTERRUPTED: a signal came
 * while a holder on another host was watched. `what` and `advice` are borrowed until the caller
 * releases *out. */
rw_status rw_writer_lock_take(const char *path, const char *what, const char *advice,
                              rw_writer_lock **out);
/* Removes the lock file, if it is still this process's own. NULL inside is fine. */
void rw_writer_lock_release(rw_writer_lock **lock);

/* Before anything is replaced or removed: does this process still hold every lock that it took?
 * A lock file that somebody removed is put back. Fails if another process has taken one over. */
rw_status rw_writer_locks_check(void);
/* Is one known to be lost, by the check or by the thread that counts? Cheap. */
bool rw_writer_locks_lost(void);
/* Removes the lock files at the sudden end of the process. Safe in a signal handler. */
void rw_writer_locks_drop(void);

#endif
