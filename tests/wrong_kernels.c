/* To be preloaded: float products that are wrong, or crash, with some kernels of OpenBLAS.
 * WRONG_KERNELS: their names, as " A B "; CRASH: set if they crash. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void product(int, int, int, int, int, int, float, const float *, int, const float *, int,
                     float, float *, int);

void cblas_sgemm(int order, int transa, int transb, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

static int wrong(void)
{
    char *(*core)(void) = (char *(*)(void))dlsym(RTLD_NEXT, "openblas_get_corename");
    const char *names = getenv("WRONG_KERNELS");
    char name[64];
    if (!core || !names) return 0;
    snprintf(name, sizeof name, " %s ", core());
    return strstr(names, name) != NULL;
}

void cblas_sgemm(int order, int transa, int transb, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    product *real = (product *)dlsym(RTLD_NEXT, "cblas_sgemm");
    real(order, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (!wrong()) return;
    if (getenv("CRASH")) __builtin_trap();
    if (m > 100) c[(m - 1) * ldc] += 1; /* one element of a larger product */
}
