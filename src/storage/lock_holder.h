/* The holder of a lock file: the text in the file, and the check whether the process still exists.
 * Not collective. */
#ifndef RW_LOCK_HOLDER_H
#define RW_LOCK_HOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define RW_LOCK_TEXT 2048 /* largest text of a lock file, in bytes */
#define RW_LOCK_ID   17   /* 16 hexadecimal digits */
#define RW_LOCK_BEAT 10   /* digits of the counter, the last line of the file */

/* Seconds between two beats of this process: a holder on another host counts as gone after three.
 * Tests make it small. */
extern double rw_lock_period;

typedef struct {
    char host[128], boot[48]; /* boot id of the host: another id after each start */
    char space[48];           /* the namespace of the process number */
    char job[128];            /* cluster/number of the SLURM job, or "-" */
    char since[32];
    char id[RW_LOCK_ID];        /* id of this lock, drawn at random */
    long process, attempt;      /* attempt: how often SLURM has requeued the job */
    unsigned long long started; /* of the process, in ticks after the start of the host */
    unsigned long long beat;    /* counts up while the holder lives */
    double period;              /* seconds between two beats */
} rw_lock_holder;

/* This process, now, with an id of its own. */
void rw_lock_holder_self(rw_lock_holder *out);

/* The text of a lock file; it ends with the counter in RW_LOCK_BEAT digits and a newline. */
void rw_lock_holder_print(const rw_lock_holder *holder, char text[RW_LOCK_TEXT]);
/* Reads the text. False: not a lock file of ropewalk. Characters that a terminal might take for
 * commands become '?'. */
bool rw_lock_holder_parse(const char *text, rw_lock_holder *out);

typedef enum {
    RW_HOLDER_LIVES,
    RW_HOLDER_IS_GONE,
    RW_HOLDER_IS_FAR, /* on another host: only its counter shows life */
} rw_holder_state;

/* As far as `self` can tell; *why: the reason, if the holder is gone. */
rw_holder_state rw_lock_holder_judge(const rw_lock_holder *holder, const rw_lock_holder *self,
                                     const char **why);

/* "process 4242 on host n17 (job 881, attempt 1), since ..."; returns the text. */
const char *rw_lock_holder_describe(const rw_lock_holder *holder, char *text, size_t size);

#endif
