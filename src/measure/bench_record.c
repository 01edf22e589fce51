#include "measure/bench_record.h"

#include <string.h>

#include "base/memory.h"

rw_status rw_bench_add(rw_bench_rows *rows, const void *row, size_t size)
{
    RW_TRY(rw_grow(&rows->rows, &rows->capacity, rows->count + 1, size));
    memcpy((char *)rows->rows + rows->count++ * size, row, size);
    return RW_OK;
}

void rw_bench_free(rw_bench_record *record)
{
    rw_bench_rows *all[] = {&record->ops,     &record->mixers,     &record->steps,
                            &record->scaling, &record->invariance, &record->primitives};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rw_free(&all[i]->rows);
}

double rw_bench_backward(const rw_model_figures *f)
{
    return f->step.seconds > f->forward.seconds ? f->step.seconds - f->forward.seconds : 0;
}

double rw_bench_rate(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}
