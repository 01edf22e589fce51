/* A file that is being written must not stay when the program is ended by a signal. */
#ifndef RW_DRAFT_GUARD_H
#define RW_DRAFT_GUARD_H

/* From here on SIGINT, SIGTERM, SIGHUP and SIGXCPU, where they would end the program, remove the
 * file first. One file at a time; `path` is copied, one that is too long is not guarded. Not
 * collective, not thread-safe. */
void rw_draft_guard(const char *path);
/* The file is complete, or gone: signals do what they did before. */
void rw_draft_unguard(void);

#endif
