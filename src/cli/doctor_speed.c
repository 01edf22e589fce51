#include <cblas.h>
#include <omp.h>

#include "base/memory.h"
#include "cli/doctor.h"

#define MEASURE_S 0.2 /* seconds that a measurement takes */

enum { GEMM_SIZE = 512, TRIAD_SIZE = 8 << 20 }; /* rows; floats, 32 MiB an array */

static double measure_products(const float *a, const float *b, float *c)
{
    const int n = GEMM_SIZE;
    double best = 1e30, end = omp_get_wtime() + MEASURE_S;
    do {
        double start = omp_get_wtime();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
        double took = omp_get_wtime() - start;
        if (took < best) best = took;
    } while (omp_get_wtime() < end);
    return 2.0 * n * n * n / best;
}

void rw_doctor_products(rw_doctor *doctor)
{
    const size_t n = (size_t)GEMM_SIZE * GEMM_SIZE;
    float *block = NULL;
    if (rw_alloc(3 * n, sizeof *block, "the matrices of a measurement", &block) != RW_OK) {
        rw_clear_message();
        rw_doctor_say(doctor, RW_VERDICT_FAIL, "products", "no memory for three small matrices");
        return;
    }
    for (size_t i = 0; i < 2 * n; i++) block[i] = (float)(i % 7) - 3;
    double rate = measure_products(block, block + n, block + 2 * n) / 1e9;
    rw_doctor_say(doctor, rate < 15 ? RW_VERDICT_WARN : RW_VERDICT_OK, "products",
                  "%.0f GFLOP/s, float32, one core", rate);
    if (rate < 15)
        rw_doctor_advise("slow: is the machine busy, or BLAS a reference one? "
                         "(apt install libopenblas-pthread-dev)");
    rw_free(&block);
}

/* a = b + 3 c over all threads (STREAM's triad; 12 bytes an element). */
static double measure_triad(float *a, const float *b, const float *c)
{
    double best = 1e30, end = omp_get_wtime() + MEASURE_S;
    do {
        double start = omp_get_wtime();
#pragma omp parallel for
        for (int i = 0; i < TRIAD_SIZE; i++) a[i] = b[i] + 3 * c[i];
        double took = omp_get_wtime() - start;
        if (took < best) best = took;
    } while (omp_get_wtime() < end);
    return 12.0 * TRIAD_SIZE / best;
}

void rw_doctor_bandwidth(rw_doctor *doctor)
{
    float *block = NULL;
    if (rw_alloc((size_t)3 * TRIAD_SIZE, sizeof *block, "the arrays of a measurement", &block) !=
        RW_OK) {
        rw_clear_message();
        rw_doctor_say(doctor, RW_VERDICT_WARN, "bandwidth", "not measured: no 96 MiB of memory");
        return;
    }
    double rate = measure_triad(block, block + TRIAD_SIZE, block + 2 * TRIAD_SIZE) / 1e9;
    rw_doctor_say(doctor, RW_VERDICT_OK, "bandwidth", "%.0f GB/s, triad, %d thread%s", rate,
                  omp_get_max_threads(), omp_get_max_threads() == 1 ? "" : "s");
    rw_free(&block);
}
