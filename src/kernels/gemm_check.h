/* Does BLAS multiply right? Builds of OpenBLAS are known to compute wrong products, or to
 * crash, on processors that are newer than they are. */
#ifndef RW_GEMM_CHECK_H
#define RW_GEMM_CHECK_H

#include <stdbool.h>

/* Compares products of odd shapes, transposed and not, with plain loops. The operands are
 * small whole numbers, so every sum is exact and the results must be equal. Also looks for
 * writes beside the result and reads of a result that is to be replaced. Takes some
 * milliseconds. Not collective; an illegal instruction or a crash of BLAS is the caller's
 * to catch. */
bool rw_gemm_is_right(void);

#endif
