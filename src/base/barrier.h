/* A barrier for threads that meet every few microseconds: it spins, and yields the processor during
 * a long wait. */
#ifndef RW_BARRIER_H
#define RW_BARRIER_H

#include <stdatomic.h>

typedef struct {
    atomic_int arrived;
    atomic_uint round;
} rw_barrier; /* all zero: new */

/* Returns when `size` threads have called it. After the call each thread sees all earlier writes of
 * the others. */
void rw_barrier_wait(rw_barrier *barrier, int size);

#endif
