#include "base/random.h"

#include <math.h>

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
