#include "base/barrier.h"

#include <sched.h>

enum { SPINS = 512 }; /* some 10 us: longer than any wait except for a processor */

static inline void pause_briefly(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

void rw_barrier_wait(rw_barrier *barrier, int size)
{
    const unsigned round = atomic_load_explicit(&barrier->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&barrier->arrived, 1, memory_order_acq_rel) == size - 1) {
        atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&barrier->round, memory_order_acquire) == round;
         spins++)
        if (spins < SPINS)
            pause_briefly();
        else
            sched_yield();
}
