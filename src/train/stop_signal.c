#include "train/stop_signal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "storage/writer_lock.h"

static volatile sig_atomic_t received, interrupted, speaking;

/* Only calls that a signal handler may make. */
static void end_at_once(int number)
{
    rw_writer_locks_drop();
    signal(number, SIG_DFL);
    raise(number);
}

static void note(int number)
{
    static const char told[] =
        "\nropewalk: stops with a checkpoint as soon as it can; Ctrl-C again ends it at once\n";
    int error = errno;
    received = number;
    if (number == SIGINT) {
        if (interrupted) end_at_once(number);
        interrupted = 1;
        if (speaking && write(STDERR_FILENO, told, sizeof told - 1) < 0) errno = 0;
    }
    errno = error;
}

/* In the handler of the second SIGINT the signal itself is blocked: SA_NODEFER lets raise()
 * end the process there. */
void rw_stop_signal_install(int speaks)
{
    static const int signals[] = {SIGTERM, SIGUSR1, SIGINT, SIGHUP, SIGXCPU};
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = SA_RESTART | SA_NODEFER;
    speaking = speaks && isatty(STDERR_FILENO);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], NULL, &before);
        /* Under nohup the process shall outlive its terminal. */
        if (signals[i] == SIGHUP && before.sa_handler == SIG_IGN) continue;
        sigaction(signals[i], &action, NULL);
    }
}

int rw_stop_signal(void)
{
    return received;
}
