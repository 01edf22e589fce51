#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/shown_text.h"

static bool speaks = true;
static bool progress_open;
static FILE *file;

void rw_log_speak(bool speak)
{
    speaks = speak;
}

bool rw_on_terminal(void)
{
    return isatty(STDERR_FILENO);
}

rw_status rw_log_open(const char *path)
{
    rw_log_close();
    file = fopen(path, "a");
    if (!file)
        return rw_fail(RW_ERROR, "cannot write the log %s: %s; check the run folder", path,
                       strerror(errno));
    return RW_OK;
}

void rw_log_close(void)
{
    if (file) fclose(file);
    file = NULL;
}

static void end_progress(void)
{
    if (progress_open && rw_on_terminal()) fputs("\r\033[K", stderr);
    progress_open = false;
}

/* Longer lines are cut. */
enum { LINE_BYTES = 2048 };

/* The line as a terminal may get it: much of it comes from files and arguments. */
static void make_line(char out[RW_SHOWN_SIZE(LINE_BYTES)], const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    vsnprintf(line, sizeof line, format, arguments);
    rw_show_text(line, out, RW_SHOWN_SIZE(LINE_BYTES));
}

static void say(const char *prefix, const char *format, va_list arguments)
{
    if (!speaks) return;
    char line[RW_SHOWN_SIZE(LINE_BYTES)];
    make_line(line, format, arguments);
    end_progress();
    fprintf(stderr, "%s%s\n", prefix, line);
    if (file) {
        fprintf(file, "%s%s\n", prefix, line);
        fflush(file);
    }
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

void rw_progress(bool last, const char *format, ...)
{
    if (!speaks) return;
    va_list arguments;
    va_start(arguments, format);
    if (rw_on_terminal()) {
        char line[RW_SHOWN_SIZE(LINE_BYTES)];
        make_line(line, format, arguments);
        fprintf(stderr, "\r\033[K%s", line);
        if (last) fputc('\n', stderr);
        fflush(stderr);
        progress_open = !last;
        va_end(arguments);
        return;
    }
    say("", format, arguments);
    va_end(arguments);
}
