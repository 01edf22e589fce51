/* One writer: a lock file beside a run folder or a dataset. The file names its holder as text:
 * host, process, SLURM job, time. The file appears whole, by link(2), which works on network file
 * systems too, while flock is often local to a host. A thread of the holder increases a number in
 * the file. A newcomer that finds the file checks whether the holder lives: on the same host by its
 * process; on another host by watching the number, on the newcomer's own clock. The lock of a dead
 * holder is taken over with a message. A holder that was only cut off finds out before its next
 * write, and stops (rw_writer_locks_check). Not collective: one rank takes the lock, then all
 * agree. */
#ifndef RW_WRITER_LOCK_H
#define RW_WRITER_LOCK_H

#include <stdbool.h>

#include "base/status.h"

typedef struct rw_writer_lock rw_writer_lock;

/* Takes the lock file `path` for writing `what`. If another process holds the lock, the message
 * names the process and ends with `advice`, e.g. "choose another --run-dir". RW_INTERRUPTED: a
 * signal came during the watch of a holder on another host. `what` and `advice` are borrowed until
 * the caller releases *out. */
rw_status rw_writer_lock_take(const char *path, const char *what, const char *advice,
                              rw_writer_lock **out);
/* Removes the lock file, if it still belongs to this process. NULL inside is fine. */
void rw_writer_lock_release(rw_writer_lock **lock);

/* Before files are replaced or removed: does this process still hold all its locks? Restores a lock
 * file that somebody removed. Fails if another process has taken over a lock. */
rw_status rw_writer_locks_check(void);
/* Is a lock known to be lost, by the check or by the counting thread? Cheap. */
bool rw_writer_locks_lost(void);
/* Removes the lock files at the sudden end of the process. Safe in a signal handler. */
void rw_writer_locks_drop(void);

#endif
