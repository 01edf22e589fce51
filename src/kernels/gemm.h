/* Matrix product by BLAS, for real. Called from one thread, on one chunk: with
 * a serial BLAS the bits of the result depend on the arguments alone. */
#ifndef RW_GEMM_H
#define RW_GEMM_H

#include <cblas.h>
#include <stdbool.h>

#include "tensor/real.h"

/* Makes BLAS use one thread a call; once, at the start of a program. Does nothing for other
 * libraries than OpenBLAS. */
void rw_gemm_one_thread(void);

/* The processor of the kernels in use, as a value of OPENBLAS_CORETYPE: kernels decide how products
 * round. "of another library" if BLAS is not OpenBLAS. */
const char *rw_gemm_kernels(void);

/* May several threads multiply at once? Not with an OpenBLAS for a single thread and without locks
 * (Debian's serial variant): its threads share a buffer, and results are silently wrong
 * (docs/decisions/0011-threaded-blas.md). */
bool rw_gemm_is_thread_safe(void);

/* Makes OpenBLAS allocate the buffers of `threads` threads now instead of in their first products:
 * if the kernel refuses a buffer, OpenBLAS tries again forever. False if the limits of this process
 * leave no room for the buffers. Not thread-safe. */
bool rw_gemm_take_buffers(int threads);

/* c = alpha op(a) op(b) + beta c, row-major: op(a) is (m, k), op(b) is (k, n),
 * c is (m, n); op transposes if trans* is set. lda, ldb, ldc are reals from one
 * row of the array as stored to the next. With beta = 0, c is not read. */
static inline void rw_gemm(bool transa, bool transb, int m, int n, int k, real alpha, const real *a,
                           int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
#ifdef RW_DOUBLE
    cblas_dgemm
#else
    cblas_sgemm
#endif
        (CblasRowMajor, transa ? CblasTrans : CblasNoTrans, transb ? CblasTrans : CblasNoTrans, m,
         n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

#endif
