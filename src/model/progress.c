#include "model/progress.h"

#include <omp.h>

#include "model/carry_exchange.h"

void rw_pass_progress(const rw_pass *w)
{
    if (omp_get_thread_num() > 0) return;
    rw_gradient_sum_progress(w->e->sum);
    rw_carry_exchange_progress(w->e->exchange);
}
