#include "base/float_mode.h"

#include <float.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
/* MXCSR: bit 15 flush to zero (results), bit 6 denormals are zero (operands). */
#define FLUSH 0x8040u
#define READ  _mm_getcsr()
#define WRITE _mm_setcsr
#elif defined(__aarch64__)
/* FPCR: bit 24 flush to zero (results and operands). */
#define FLUSH (UINT64_C(1) << 24)
static uint64_t read_fpcr(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static void write_fpcr(uint64_t mode)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(mode));
}
#define READ  read_fpcr()
#define WRITE write_fpcr
#else
#define FLUSH       0u
#define READ        0u
#define WRITE(mode) (void)(mode)
#endif

void rw_float_mode_flush(void)
{
    WRITE(READ | FLUSH);
}

void rw_float_mode_keep(void)
{
    WRITE(READ & ~FLUSH);
}

bool rw_float_mode_flushes(void)
{
    volatile float smallest = FLT_MIN, half = 0.5f, huge = 0x1p100f;
    union {
        uint32_t bits;
        float value;
    } subnormal = {.bits = 1};
    volatile float operand = subnormal.value;
    volatile float result = smallest * half, product = operand * huge;
    return result == 0 && product == 0;
}
