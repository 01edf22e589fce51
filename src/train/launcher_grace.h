/* The time that mpirun leaves ranks between the request to end and the kill. */
#ifndef RW_LAUNCHER_GRACE_H
#define RW_LAUNCHER_GRACE_H

/* Warns, once, if Open MPI's mpirun started the ranks and would kill them before the next
 * checkpoint is written. `seconds`: from a signal to the end of the next checkpoint. By the rank
 * that speaks. */
void rw_launcher_grace_warn(double seconds);

#endif
