#include <omp.h>

#include "cli/doctor.h"
#include "kernels/gemm_bf16.h"
#include "measure/limits.h"

#define MEASURE_S  0.2 /* seconds of a measurement */
#define SLOW_SHARE 0.4 /* of the peak of a core; good kernels reach 0.7 and more */
/* Least gain over float32: below, the cost of rounding operands may exceed the gain of products. */
#define WORTH_BF16 2.5

void rw_doctor_products(rw_doctor *doctor)
{
    double rate = rw_measure_products(1, MEASURE_S) / 1e9;
    if (rate == 0) {
        rw_doctor_say(doctor, RW_VERDICT_FAIL, "products", "no memory for three small matrices");
        return;
    }
    double peak = rw_measure_peak(MEASURE_S) / 1e9, share = rate / peak;
    rw_doctor_say(doctor, share < SLOW_SHARE ? RW_VERDICT_WARN : RW_VERDICT_OK, "products",
                  "%.0f GFLOP/s, float32, one core: %.2f of what its multiply-adds can do", rate,
                  share);
    if (share < SLOW_SHARE)
        rw_doctor_advise("slow: is the machine busy, or BLAS a reference one? "
                         "(apt install libopenblas-pthread-dev)");
}

/* In turns: the machine may do other work meanwhile. */
static double times_float32(double *bf16)
{
    double float32 = 0;
    *bf16 = 0;
    for (int turn = 0; turn < 2; turn++) {
        float32 += rw_measure_products(1, MEASURE_S / 4);
        *bf16 += rw_measure_products_bf16(1, MEASURE_S / 4) / 2;
    }
    return float32 > 0 ? *bf16 / (float32 / 2) : 0;
}

void rw_doctor_bf16(rw_doctor *doctor)
{
    const char *missing = rw_gemm_stored_missing(RW_STORED_BF16);
    double rate = 0, times = missing ? 0 : times_float32(&rate);
    if (times <= 0)
        rw_doctor_say(doctor, RW_VERDICT_OK, "bf16", "no: %s",
                      missing ? missing : "no memory for three small matrices");
    else
        rw_doctor_say(doctor, RW_VERDICT_OK, "bf16",
                      "%.0f GFLOP/s, one core: %.1f times float32; train.precision: %s", rate / 1e9,
                      times,
                      times >= WORTH_BF16 ? "bf16 is worth it"
                                          : "float32 may be as fast, auto times a step in both");
}

void rw_doctor_bandwidth(rw_doctor *doctor)
{
    int threads = omp_get_max_threads();
    double rate = rw_measure_triad(threads, MEASURE_S) / 1e9;
    if (rate == 0) {
        rw_doctor_say(doctor, RW_VERDICT_WARN, "bandwidth", "not measured: no 96 MiB of memory");
        return;
    }
    rw_doctor_say(doctor, RW_VERDICT_OK, "bandwidth", "%.0f GB/s, triad, %d thread%s", rate,
                  threads, threads == 1 ? "" : "s");
}
