#include "base/random.h"

#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

static void philox_round(uint32_t c[4], const uint32_t k[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k[0];
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k[1];
    c[3] = (uint32_t)p0;
}

static void philox(rw_random s, uint64_t index, uint32_t c[4])
{
    uint32_t k[2] = {s.key[0], s.key[1]};
    c[0] = (uint32_t)index;
    c[1] = (uint32_t)(index >> 32);
    c[2] = s.high[0];
    c[3] = s.high[1];
    for (int i = 0; i < 10; i++) {
        philox_round(c, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
}

rw_random rw_random_stream(uint64_t seed, rw_purpose purpose, uint64_t stream)
{
    rw_random s = {{(uint32_t)seed, (uint32_t)(seed >> 32) ^ ((uint32_t)purpose * 0x9E3779B9u)},
                   {(uint32_t)stream, (uint32_t)(stream >> 32)}};
    return s;
}

uint64_t rw_random_bits(rw_random s, uint64_t index)
{
    uint32_t c[4];
    philox(s, index, c);
    return (uint64_t)c[1] << 32 | c[0];
}

/* ---- Several values at once -------------------------------------------------- */

/* SIMD lanes of 64 bits; the low 32 bits hold a word of the counter. */
#if defined(__AVX512F__)
enum { LANES = 8 };
#elif defined(__AVX2__)
enum { LANES = 4 };
#else
enum { LANES = 2 };
#endif
typedef uint64_t words __attribute__((vector_size(LANES * 8)));

/* Products of the low halves of the lanes. Intrinsics: gcc 12 multiplies whole lanes, which takes
 * three times as long. */
static inline words times(words a, uint32_t b)
{
#if defined(__AVX512F__)
    return (words)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
    return (words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
    return (a & UINT32_MAX) * b;
#endif
}

/* rw_random_bits of several indices. The high half of a lane is never read. */
static words bits_of(rw_random s, words index)
{
    const words zero = {0};
    words c0 = index, c1 = index >> 32, c2 = zero + s.high[0], c3 = zero + s.high[1];
    uint32_t k0 = s.key[0], k1 = s.key[1];
    for (int i = 0; i < 10; i++) {
        words p0 = times(c0, 0xD2511F53u), p1 = times(c2, 0xCD9E8D57u);
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c1 << 32 | (c0 & UINT32_MAX);
}

void rw_random_bits_run(rw_random s, uint64_t first, int n, uint64_t *out)
{
    words index;
    int i = 0;
    for (int lane = 0; lane < LANES; lane++) index[lane] = first + (uint64_t)lane;
    for (; i + LANES <= n; i += LANES, index += LANES) {
        const words bits = bits_of(s, index);
        memcpy(out + i, &bits, sizeof bits);
    }
    for (; i < n; i++) out[i] = rw_random_bits(s, first + (uint64_t)i);
}

/* ---- Other distributions ------------------------------------------------------ */

double rw_random_uniform(rw_random s, uint64_t index)
{
    return (double)(rw_random_bits(s, index) >> 11) * 0x1p-53;
}

double rw_random_normal(rw_random s, uint64_t index)
{
    uint32_t c[4];
    philox(s, index, c);
    double u = ((double)(((uint64_t)c[1] << 32 | c[0]) >> 11) + 0.5) * 0x1p-53;
    double v = (double)(((uint64_t)c[3] << 32 | c[2]) >> 11) * 0x1p-53;
    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

uint64_t rw_random_below(rw_random s, uint64_t index, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)rw_random_bits(s, index) * n) >> 64);
}

/* Four Feistel rounds on 2h bits, the smallest even number of bits that holds
 * n; values outside {0..n-1} are walked on along their cycle. */
uint64_t rw_random_permute(rw_random s, uint64_t i, uint64_t n)
{
    if (n <= 1) return 0;
    int half = (64 - __builtin_clzll(n - 1) + 1) / 2;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t f = rw_random_bits(s, round << 40 | right) & mask;
            uint64_t t = left ^ f;
            left = right;
            right = t;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}
