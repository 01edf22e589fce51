#include "kernels/gemm.h"

extern void openblas_set_num_threads(int) __attribute__((weak));

void rw_gemm_one_thread(void)
{
    if (openblas_set_num_threads) openblas_set_num_threads(1);
}
