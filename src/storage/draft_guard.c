#include "storage/draft_guard.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SIGNALS = 4 };
static const int ends[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGXCPU};

static char guarded[4096];
static bool ours[SIGNALS]; /* our handler is in place */

/* Only calls allowed in a handler. The default action follows: it ends the program. */
static void remove_and_end(int signal_number)
{
    if (guarded[0]) unlink(guarded);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void rw_draft_guard(const char *path)
{
    if (strlen(path) >= sizeof guarded) return;
    snprintf(guarded, sizeof guarded, "%s", path);
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction now, handler = {.sa_handler = remove_and_end};
        if (sigaction(ends[i], NULL, &now) != 0 || now.sa_handler != SIG_DFL) continue;
        ours[i] = sigaction(ends[i], &handler, NULL) == 0;
    }
}

void rw_draft_unguard(void)
{
    for (int i = 0; i < SIGNALS; i++)
        if (ours[i]) signal(ends[i], SIG_DFL);
    memset(ours, 0, sizeof ours);
    guarded[0] = '\0';
}
