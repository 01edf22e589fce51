#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/shown_text.h"

#define LINE_SIZE 2048 /* longer lines are cut */
#define COLUMNS   80   /* of a terminal without a known width */

static bool speaks = true;
static bool progress_open;
static int file = -1;
static char file_path[4096];
static unsigned long lost; /* lines that could not be written to the file */

void rw_log_speak(bool speak)
{
    speaks = speak;
}

/* A terminal that can return to the start of a line and clear the line. */
bool rw_on_terminal(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) && kind && kind[0] && strcmp(kind, "dumb") != 0;
}

/* ---- Standard error ---------------------------------------------------------------- */

/* Writes to standard error. A closed standard error must not end the program: the SIGPIPE of this
 * write is taken back. */
static void write_error(const char *text)
{
    sigset_t pipe, before, pending;
    size_t left = strlen(text);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    bool had_one = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    while (left > 0) {
        ssize_t written = write(STDERR_FILENO, text, left);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EPIPE && !had_one)
            sigtimedwait(&pipe, NULL, &(struct timespec){0});
        if (written <= 0) break;
        text += written;
        left -= (size_t)written;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_progress(void)
{
    if (progress_open && rw_on_terminal()) write_error("\r\033[K");
    progress_open = false;
}

static int columns(void)
{
    struct winsize size;
    const char *told = getenv("COLUMNS");
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    int width = told ? atoi(told) : 0;
    return width > 0 ? width : COLUMNS;
}

/* ---- log.txt ------------------------------------------------------------------------- */

/* A line that cannot be written is counted, and reported the first time. */
static void write_file(const char *line)
{
    size_t size = strlen(line);
    if (file < 0) return;
    ssize_t written = write(file, line, size);
    if (written == (ssize_t)size) return;
    if (written > 0 &&
        write(file, line + written, size - (size_t)written) == (ssize_t)size - written)
        return;
    char warning[LINE_SIZE + sizeof file_path];
    const char *why = strerror(errno);
    if (lost++ > 0) return;
    snprintf(warning, sizeof warning,
             "warning: cannot write %s: %s; the work goes on, lines are lost until there is room\n",
             file_path, why);
    write_error(warning);
}

void rw_log_close(void)
{
    unsigned long missing = lost;
    bool failed = file >= 0 && close(file) < 0;
    file = -1;
    lost = 0;
    if (failed || missing)
        rw_warn("%s lacks %lu lines, which could not be written", file_path, missing + failed);
}

static rw_status refuse(const char *path, const char *why)
{
    return rw_fail(RW_ERROR, "no log in %s: %s", path, why);
}

rw_status rw_log_open(const char *path, const char *header)
{
    struct stat about;
    rw_log_close();
    int opened = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    if (opened < 0 && (errno == ELOOP || errno == ENXIO))
        return refuse(path, "it is a link or a pipe, which is not written through");
    if (opened < 0) return refuse(path, strerror(errno));
    if (fstat(opened, &about) < 0 || !S_ISREG(about.st_mode)) {
        close(opened);
        return refuse(path, "it is not a file");
    }
    file = opened;
    snprintf(file_path, sizeof file_path, "%s", path);
    if (about.st_size == 0) write_file(header);
    return RW_OK;
}

/* ---- Lines ------------------------------------------------------------------------------ */

/* The line with all characters safe for a terminal: parts of it come from files and arguments. */
static void make_line(char *out, size_t room, const char *format, va_list arguments)
{
    char line[LINE_SIZE];
    vsnprintf(line, sizeof line, format, arguments);
    rw_show_text(line, out, room);
}

static void say(const char *prefix, const char *format, va_list arguments)
{
    if (!speaks) return;
    char text[RW_SHOWN_SIZE(LINE_SIZE)], line[sizeof text + 16];
    make_line(text, sizeof text, format, arguments);
    snprintf(line, sizeof line, "%s%s\n", prefix, text);
    end_progress();
    write_error(line);
    write_file(line);
}

void rw_info(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
}

void rw_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("warning: ", format, arguments);
    va_end(arguments);
}

/* On a terminal: cut to its width, less the last column, where some terminals begin a new line at
 * once. */
static void overwrite(bool last, const char *format, va_list arguments)
{
    char text[RW_SHOWN_SIZE(LINE_SIZE)], line[sizeof text + 16];
    size_t width = (size_t)columns(); /* and the end of the text */
    make_line(text, last || width > sizeof text ? sizeof text : width, format, arguments);
    snprintf(line, sizeof line, "\r\033[K%s%s", text, last ? "\n" : "");
    write_error(line);
    progress_open = !last;
}

void rw_progress(bool last, const char *format, ...)
{
    if (!speaks) return;
    va_list arguments;
    va_start(arguments, format);
    if (rw_on_terminal())
        overwrite(last, format, arguments);
    else
        say("", format, arguments);
    va_end(arguments);
}
