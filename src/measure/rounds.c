#include "measure/rounds.h"

#include <stdlib.h>
#include <time.h>

double rw_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void rw_rounds_add(rw_rounds *rounds, double value)
{
    if (rounds->count < RW_ROUNDS_MAX) rounds->value[rounds->count++] = value;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rw_rounds_median(const rw_rounds *rounds)
{
    double sorted[RW_ROUNDS_MAX];
    if (rounds->count == 0) return 0;
    for (int i = 0; i < rounds->count; i++) sorted[i] = rounds->value[i];
    qsort(sorted, (size_t)rounds->count, sizeof *sorted, ascending);
    int middle = rounds->count / 2;
    return rounds->count % 2 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle]);
}
