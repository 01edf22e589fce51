/* A barrier for threads that meet every few microseconds: it spins, and yields the
 * processor where it has to wait for long. */
#ifndef RW_BARRIER_H
#define RW_BARRIER_H

#include <stdatomic.h>

typedef struct {
    atomic_int arrived;
    atomic_uint round;
} rw_barrier; /* all zero: new */

/* Returns when `size` threads have called it; what each wrote before, all see behind. */
void rw_barrier_wait(rw_barrier *barrier, int size);

#endif
