#include "kernels/rounded_product.h"

#include <stdint.h>
#include <string.h>

#if defined __AVX512BF16__ && !defined RW_DOUBLE
#include <immintrin.h>
#endif

#include "kernels/gemm.h"

static const char *const names[] = {[RW_PRECISION_FLOAT32] = "float32",
                                    [RW_PRECISION_BF16] = "bf16",
                                    [RW_PRECISION_BF16_EMULATED] = "bf16_emulated"};

const char *rw_precision_name(rw_precision precision)
{
    return names[precision];
}

bool rw_precision_find(const char *name, rw_precision *out)
{
    for (int p = RW_PRECISION_FLOAT32; p <= RW_PRECISION_BF16_EMULATED; p++)
        if (strcmp(name, names[p]) == 0) {
            *out = (rw_precision)p;
            return true;
        }
    return false;
}

const char *rw_precision_missing(rw_precision precision)
{
    if (precision != RW_PRECISION_BF16) return NULL;
#ifdef RW_DOUBLE
    return "this build computes in float64";
#else
    return rw_gemm_stored_missing(RW_STORED_BF16);
#endif
}

/* The upper half, one more if the lower half is above one half, or is one half
 * and the upper odd. The carry goes on into the exponent, as it should. */
static inline uint32_t rounded_bits(float x)
{
    uint32_t bits, odd;
    memcpy(&bits, &x, sizeof bits);
    odd = bits >> 16 & 1;
    uint32_t nearest = (bits + 0x7fff + odd) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    return (bits & 0x7fffffff) > 0x7f800000 ? quiet : nearest;
}

static inline float value_of(uint32_t upper)
{
    uint32_t bits = upper << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

rw_bf16 rw_bf16_of(float x)
{
    return (rw_bf16)rounded_bits(x);
}

float rw_bf16_value(rw_bf16 x)
{
    return value_of(x);
}

size_t rw_rounded_reals(rw_precision precision, size_t count)
{
    if (precision == RW_PRECISION_FLOAT32) return 0;
    if (precision == RW_PRECISION_BF16_EMULATED) return count;
    return (count * sizeof(rw_bf16) + sizeof(real) - 1) / sizeof(real);
}

/* By the processor's instruction as far as whole vectors go: *done columns. */
#if defined __AVX512BF16__ && !defined RW_DOUBLE
static void round_vectors(int columns, const real *from, rw_bf16 *to, int *done)
{
    for (*done = 0; *done + 16 <= columns; *done += 16) {
        __m256bh sixteen = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + *done));
        memcpy(to + *done, &sixteen, sizeof sixteen);
    }
}
#else
static void round_vectors(int columns, const real *from, rw_bf16 *to, int *done)
{
    (void)columns, (void)from, (void)to;
    *done = 0;
}
#endif

static void round_row(int columns, const real *from, rw_bf16 *to)
{
    int done;
    round_vectors(columns, from, to, &done);
    for (int j = done; j < columns; j++) to[j] = (rw_bf16)rounded_bits((float)from[j]);
}

static void round_row_emulated(int columns, const real *from, real *to)
{
    for (int j = 0; j < columns; j++) to[j] = (real)value_of(rounded_bits((float)from[j]));
}

void rw_round(rw_precision precision, int rows, int columns, const real *from, int ld, int first,
              real *to)
{
    for (int i = 0; i < rows; i++) {
        const real *row = from + (size_t)i * (size_t)ld;
        size_t at = (size_t)(first + i) * (size_t)columns;
        if (precision == RW_PRECISION_BF16)
            round_row(columns, row, (rw_bf16 *)(void *)to + at);
        else
            round_row_emulated(columns, row, to + at);
    }
}

void rw_rounded_product(rw_precision precision, bool transa, bool transb, int m, int n, int k,
                        const real *a, int lda, const real *b, int ldb, bool add, real *c, int ldc)
{
    (void)precision;
#ifndef RW_DOUBLE
    if (precision == RW_PRECISION_BF16) {
        rw_gemm_stored(RW_STORED_BF16, transa, transb, m, n, k, a, lda, b, ldb, add, c, ldc);
        return;
    }
#endif
    rw_gemm(transa, transb, m, n, k, 1, a, lda, b, ldb, add, c, ldc);
}
