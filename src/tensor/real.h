/* real: float, or double in the build that checks gradients (-DRW_DOUBLE). */
#ifndef RW_REAL_H
#define RW_REAL_H

#include <stddef.h>

#ifdef RW_DOUBLE
typedef double real;
#define RW_REAL_NAME "float64"
#define RW_MPI_REAL  MPI_DOUBLE
#else
typedef float real;
#define RW_REAL_NAME "float32"
#define RW_MPI_REAL  MPI_FLOAT
#endif

/* n reals, rounded up to whole cache lines of a build for float. */
static inline size_t rw_whole_lines(size_t n)
{
    return (n + 15) / 16 * 16;
}

/* Number of reals in one vector register of the build's instruction set. */
#if defined(__AVX512F__)
#define RW_VECTOR_BYTES 64
#elif defined(__AVX__)
#define RW_VECTOR_BYTES 32
#else
#define RW_VECTOR_BYTES 16
#endif
#define RW_LANES ((int)(RW_VECTOR_BYTES / sizeof(real)))
typedef real rw_vector __attribute__((vector_size(RW_VECTOR_BYTES)));
/* The same, loaded from and stored to addresses aligned to a real only. */
typedef real rw_vector_unaligned
    __attribute__((vector_size(RW_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#endif
