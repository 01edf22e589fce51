/* Matrix products by oneDNN (uxlfoundation.github.io/oneDNN), for operands in
 * bfloat16: half the bytes of float and, where the processor has instructions for
 * it, twice its products or more. A bfloat16 is the upper half of a float: its sign, its
 * exponent and 7 bits of mantissa. Sums are float.
 *
 * A call runs on the calling thread alone, and its bits depend on its arguments
 * alone. What oneDNN compiles for a shape is kept by the thread: the first call
 * with a shape allocates, the others do not. */
#ifndef RW_GEMM_BF16_H
#define RW_GEMM_BF16_H

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t rw_bf16;

/* How the operands of a product are stored. Float is there so that the path can be
 * tested on any processor. */
typedef enum { RW_STORED_BF16, RW_STORED_FLOAT } rw_stored;

/* NULL: products of operands stored so are to be had, in this build and on this
 * processor. Else: why not, half a sentence to show. Cheap after the first call. */
const char *rw_gemm_stored_missing(rw_stored stored);

/* c = op(a) op(b), or with `add` c + op(a) op(b): sizes as for rw_gemm; a and b are
 * of rw_bf16 or float. Only where nothing is missing. If oneDNN fails, of
 * lack of memory, c is NAN throughout: there is no status to return from
 * within a step, and the trainer drops a step that is not finite. */
void rw_gemm_stored(rw_stored stored, bool transa, bool transb, int m, int n, int k, const void *a,
                    int lda, const void *b, int ldb, bool add, float *c, int ldc);

#endif
