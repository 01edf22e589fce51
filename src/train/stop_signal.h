/* The signals that ask for a checkpoint and the end: SIGTERM and SIGUSR1 (job systems, mpirun),
 * SIGINT (Ctrl-C), SIGHUP (the terminal is gone; not under nohup), SIGXCPU (the limit of
 * processor time is near). */
#ifndef RW_STOP_SIGNAL_H
#define RW_STOP_SIGNAL_H

/* Installs handlers that only set a flag. A second SIGINT ends the process at once, without a
 * checkpoint; its lock files are removed. `speaks`: the first SIGINT says so. */
void rw_stop_signal_install(int speaks);
/* The signal that came, or 0. */
int rw_stop_signal(void);

#endif
