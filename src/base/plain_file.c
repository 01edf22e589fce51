#include "base/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE 5000 /* milliseconds to wait for the first byte of a pipe */

/* Waits for the first byte of a pipe, then lets reads wait as usual. A pipe that nobody has opened
 * for writing yet is silent: poll sleeps; a pipe whose writer has gone is at its end. */
static bool speaks(int file)
{
    struct pollfd wanted = {.fd = file, .events = POLLIN};
    if (poll(&wanted, 1, PATIENCE) <= 0) return false;
    return fcntl(file, F_SETFL, fcntl(file, F_GETFL) & ~O_NONBLOCK) == 0;
}

static const char *refuse(int file, const struct stat *about, bool pipes)
{
    if (S_ISREG(about->st_mode)) return NULL;
    if (S_ISDIR(about->st_mode)) return "it is a folder; it must be a file";
    if (!S_ISFIFO(about->st_mode)) return "it is a device or a socket; it must be a file";
    if (!pipes) return "it is a pipe; it must be a file";
    return speaks(file) ? NULL : "it is a pipe, and nothing comes through it; it must be a file";
}

static FILE *open_plain(const char *path, bool pipes, const char **why)
{
    struct stat about;
    *why = NULL;
    int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file >= 0 && fstat(file, &about) == 0) {
        *why = refuse(file, &about, pipes);
        FILE *stream = *why ? NULL : fdopen(file, "r");
        if (stream) return stream;
        if (*why) errno = EINVAL;
    }
    int error = errno;
    if (!*why) *why = strerror(error);
    if (file >= 0) close(file);
    errno = error;
    return NULL;
}

FILE *rw_plain_open(const char *path, const char **why)
{
    return open_plain(path, false, why);
}

FILE *rw_plain_open_or_pipe(const char *path, const char **why)
{
    return open_plain(path, true, why);
}
