/* A half-written file must not stay when a signal ends the program. */
#ifndef RW_DRAFT_GUARD_H
#define RW_DRAFT_GUARD_H

/* From now on SIGINT, SIGTERM, SIGHUP and SIGXCPU, if they would end the program, first remove the
 * file. One file at a time; `path` is copied; a path that is too long is not guarded. Not
 * collective, not thread-safe. */
void rw_draft_guard(const char *path);
/* The file is complete, or gone: restores the signals. */
void rw_draft_unguard(void);

#endif
