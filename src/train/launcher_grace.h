/* How long mpirun lets ranks live that it has told to end. */
#ifndef RW_LAUNCHER_GRACE_H
#define RW_LAUNCHER_GRACE_H

/* Warns, once, if the ranks were started by Open MPI's mpirun and `seconds`, the time from a signal
 * to the end of the next checkpoint, is more than mpirun waits before it kills them. By the rank
 * that speaks. */
void rw_launcher_grace_warn(double seconds);

#endif
