#include "base/status.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/shown_text.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char message[RW_MESSAGE_SIZE];
static char origin[128];

rw_status rw_fail_at(rw_status status, const char *file, int line, const char *format, ...)
{
    pthread_mutex_lock(&lock);
    if (message[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        char raw[RW_MESSAGE_SIZE];
        vsnprintf(raw, sizeof raw, format, arguments);
        rw_show_text(raw, message, sizeof message);
        va_end(arguments);
        const char *name = strrchr(file, '/');
        snprintf(origin, sizeof origin, "%s:%d", name ? name + 1 : file, line);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

const char *rw_message(void)
{
    return message;
}

const char *rw_message_origin(void)
{
    return origin;
}

void rw_clear_message(void)
{
    pthread_mutex_lock(&lock);
    message[0] = '\0';
    origin[0] = '\0';
    pthread_mutex_unlock(&lock);
}
