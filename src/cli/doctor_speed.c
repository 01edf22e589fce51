#include <omp.h>

#include "cli/doctor.h"
#include "measure/limits.h"

#define MEASURE_S  0.2 /* seconds that a measurement takes */
#define SLOW_SHARE 0.4 /* of the peak of a core; good kernels reach 0.7 and more */

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
