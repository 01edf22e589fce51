#include "train/stop_signal.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t received;

static void note(int number)
{
    received = number;
}

void rw_stop_signal_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

int rw_stop_signal(void)
{
    return received;
}
