#include "kernels/gemm.h"

#include <string.h>

extern void openblas_set_num_threads(int) __attribute__((weak));

void rw_gemm_one_thread(void)
{
    if (openblas_set_num_threads) openblas_set_num_threads(1);
}

extern char *openblas_get_corename(void) __attribute__((weak));

const char *rw_gemm_kernels(void)
{
    return openblas_get_corename ? openblas_get_corename() : "of another library";
}

extern char *openblas_get_config(void) __attribute__((weak));

bool rw_gemm_is_thread_safe(void)
{
    const char *built = openblas_get_config ? openblas_get_config() : "";
    return !strstr(built, "SINGLE_THREADED") || strstr(built, "USE_LOCKING");
}
