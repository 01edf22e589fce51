/* Status codes, the results of functions that can fail. The message is written once, at the place
 * of the failure, with rw_fail(). Callers pass the code on with RW_TRY. Only main() prints the
 * message and exits. */
#ifndef RW_STATUS_H
#define RW_STATUS_H

typedef enum {
    RW_OK = 0,
    RW_ERROR = 1,        /* something outside is wrong: file, data, machine */
    RW_USAGE = 2,        /* arguments or configuration are wrong */
    RW_INTERRUPTED = 75, /* stopped early at a signal, after a checkpoint */
} rw_status;

#define RW_MESSAGE_SIZE 1024

/* Records the message of a failure and returns `status`. The first message since the last
 * rw_clear_message() is kept: the first is the origin, later messages are consequences. The message
 * is one line, with any quoted text (shown_text.h). Thread-safe. Not collective. */
rw_status rw_fail_at(rw_status status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define rw_fail(status, ...) rw_fail_at((status), __FILE__, __LINE__, __VA_ARGS__)

/* The recorded message, or "" if none. Owned by the library. */
const char *rw_message(void);
/* Where the message was recorded: "file.c:123". */
const char *rw_message_origin(void);
void rw_clear_message(void);

/* Returns from the calling function with the status of `expr` if it failed. */
#define RW_TRY(expr)                                                                               \
    do {                                                                                           \
        rw_status rw_try_status_ = (expr);                                                         \
        if (rw_try_status_ != RW_OK) return rw_try_status_;                                        \
    } while (0)

/* The same where something is owned: sets `status` and jumps to `done`. */
#define RW_TRY_DONE(expr)                                                                          \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != RW_OK) goto done;                                                            \
    } while (0)

#endif
