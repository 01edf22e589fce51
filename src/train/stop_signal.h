/* Signals that request a checkpoint and the end: SIGTERM and SIGUSR1 (job systems, mpirun), SIGINT
 * (Ctrl-C), SIGHUP (the terminal is closed; not under nohup), SIGXCPU (the limit of processor time
 * is near). */
#ifndef RW_STOP_SIGNAL_H
#define RW_STOP_SIGNAL_H

/* Installs handlers that only set a flag. A second SIGINT ends the process at once, without a
 * checkpoint; its lock files are removed. `speaks`: print a line at the first SIGINT. */
void rw_stop_signal_install(int speaks);
/* The received signal, or 0. */
int rw_stop_signal(void);

#endif
