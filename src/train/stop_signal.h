/* SIGTERM and SIGUSR1 ask for a checkpoint at the next step boundary. */
#ifndef RW_STOP_SIGNAL_H
#define RW_STOP_SIGNAL_H

/* Installs handlers that only set a flag. */
void rw_stop_signal_install(void);
/* The signal that came, or 0. */
int rw_stop_signal(void);

#endif
