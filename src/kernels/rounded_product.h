/* Matrix products in the precision of a run: in float, or of operands rounded to
 * bfloat16 (round to nearest, ties to even), with sums in float.
 *
 * An operand is rounded first, into an array of its own: weights once a step for
 * all chunks, rows of a chunk as they come. rw_bf16 of kernels/gemm_bf16.h is what is
 * multiplied by hardware; where precision is emulated, rounded values lie in reals
 * and the product is rw_gemm: the same products of the same numbers, added up in another
 * order, and no faster (subnormal numbers apart, which hardware takes for zero). */
#ifndef RW_ROUNDED_PRODUCT_H
#define RW_ROUNDED_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/gemm_bf16.h"
#include "tensor/real.h"

typedef enum {
    RW_PRECISION_FLOAT32,
    RW_PRECISION_BF16, /* by instructions of the processor */
    RW_PRECISION_BF16_EMULATED,
} rw_precision;

/* float32, bf16, bf16_emulated; `find`: false if the name is none of them. */
const char *rw_precision_name(rw_precision precision);
bool rw_precision_find(const char *name, rw_precision *out);

/* NULL: products in this precision are to be had, in this build and on this
 * processor. Else: why not, half a sentence to show. */
const char *rw_precision_missing(rw_precision precision);

/* x rounded to bfloat16; NAN stays NAN, what is beyond the largest becomes infinite. */
rw_bf16 rw_bf16_of(float x);
float rw_bf16_value(rw_bf16 x);

/* Reals of an array that holds `count` rounded elements; 0 for float32. */
size_t rw_rounded_reals(rw_precision precision, size_t count);

/* Rounds (rows, columns), `ld` reals from one row to the next, into `to`, dense: its
 * rows begin at row `first`. Not for float32. As rw_bf16_of does, except that with
 * RW_PRECISION_BF16 a subnormal number may become a zero of its sign, which is what products
 * in bf16 take it for. */
void rw_round(rw_precision precision, int rows, int columns, const real *from, int ld, int first,
              real *to);

/* c = op(a) op(b), or with `add` c + op(a) op(b), sizes as for rw_gemm. With
 * float32, a and b are reals; else rounded by rw_round with this precision. */
void rw_rounded_product(rw_precision precision, bool transa, bool transb, int m, int n, int k,
                        const real *a, int lda, const real *b, int ldb, bool add, real *c, int ldc);

#endif
