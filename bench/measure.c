#include "bench/measure.h"

#include <omp.h>
#include <stdlib.h>
#include <time.h>

#include "kernels/gemm.h"

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
    for (int i = 0; i < rounds->count; i++) sorted[i] = rounds->value[i];
    qsort(sorted, (size_t)rounds->count, sizeof *sorted, ascending);
    int middle = rounds->count / 2;
    return rounds->count % 2 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle]);
}

enum { GEMM_M = 512, GEMM_N = 512, GEMM_K = 1024 };

/* Products by one thread until `end`; returns how many. */
static long multiply_until(double end)
{
    size_t rows = GEMM_M, columns = GEMM_N, inner = GEMM_K;
    float *a = malloc(rows * inner * sizeof *a), *b = malloc(inner * columns * sizeof *b);
    float *c = malloc(rows * columns * sizeof *c);
    long done = 0;
    for (size_t i = 0; a && b && c && i < rows * inner; i++) a[i] = b[i] = (float)(i % 7) - 3;
    while (a && b && c && rw_seconds() < end) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, GEMM_M, GEMM_N, GEMM_K, 1, a, GEMM_K,
                    b, GEMM_K, 0, c, GEMM_N);
        done++;
    }
    free(a);
    free(b);
    free(c);
    return done;
}

double rw_measure_gemm(void)
{
    double start = rw_seconds();
    long done = 0;
#pragma omp parallel reduction(+ : done)
    done += multiply_until(start + 0.05);
    return 2.0 * GEMM_M * GEMM_N * GEMM_K * (double)done / (rw_seconds() - start);
}
