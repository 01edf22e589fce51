#include "kernels/linear_attention_pairs.h"

#include "kernels/lanes.h"
#include "kernels/tile_product.h"

#define INLINE static inline __attribute__((always_inline))
#define BLOCK  RW_LINEAR_ATTENTION_BLOCK
#define LEAF   RW_LINEAR_ATTENTION_LEAF

typedef rw_linear_attention_pairs pairs;

static long row_of(const pairs *block, int t)
{
    return (long)t * block->key;
}

/* sum + sum_t a_t b_t, element by element, over the tokens of [begin, end). */
static void add_products(const pairs *block, const real *a, const real *b, int begin, int end,
                         const real *sum, real *out)
{
    for (int c = 0; c < block->key; c += RW_LANES) {
        rw_vector total = rw_lanes_load(sum + c, 0);
        for (int t = begin; t < end; t++)
            total += rw_lanes_load(a + row_of(block, t) + c, 0) *
                     rw_lanes_load(b + row_of(block, t) + c, 0);
        rw_lanes_store(out + c, 0, total);
    }
}

/* The pairs with s in [begin, middle) and t in [middle, end). Before them, dq' holds what
 * comes from before `begin`, and dk' what comes from behind `end`: pairs with the other half
 * that cross the whole of the first half, or of the second. */
static void join(const pairs *block, int begin, int middle, int end)
{
    const long earlier = row_of(block, begin), later = row_of(block, middle);
    const real *scores = block->scores + (long)middle * BLOCK + begin;
    real *first = block->across + row_of(block, begin / LEAF);
    real *second = block->across + row_of(block, middle / LEAF);
    add_products(block, block->k, block->dk, begin, middle, first, second);
    add_products(block, block->q, block->dq, middle, end, first, first);
    rw_tile_product(end - middle, block->key, middle - begin, (rw_strided){scores, BLOCK, 1},
                    block->k + earlier, block->key, 1, block->dq + later, block->key);
    rw_tile_product(middle - begin, block->key, end - middle, (rw_strided){scores, 1, BLOCK},
                    block->q + later, block->key, 1, block->dk + earlier, block->key);
}

/* A vector of channels of the n <= LEAF tokens from `begin` on, last token first. dk_s holds
 * what the tokens from t on give to k'_s, and `later` what they give to those before the leaf. */
INLINE void leaf_column(const pairs *block, int begin, int n, int c)
{
    const long first = row_of(block, begin) + c;
    const real *scores = block->scores + (long)begin * BLOCK + begin;
    rw_vector dk[LEAF] = {{0}},
              later = rw_lanes_load(block->across + row_of(block, begin / LEAF) + c, 0);
#pragma GCC unroll 8
    for (int s = 0; s < n; s++) dk[s] = rw_lanes_load(block->dk + first + row_of(block, s), 0);
#pragma GCC unroll 8
    for (int t = n - 1; t >= 0; t--) {
        const long at = first + row_of(block, t);
        const rw_vector q = rw_lanes_load(block->q + at, 0);
        rw_vector dq = rw_lanes_load(block->dq + at, 0);
        later += q * dq;
        rw_vector slope = later;
#pragma GCC unroll 8
        for (int s = 0; s < t; s++) {
            const rw_vector k = rw_lanes_load(block->k + first + row_of(block, s), 0);
            dk[s] += scores[t * BLOCK + s] * q;
            dq += scores[t * BLOCK + s] * k;
            slope += k * dk[s];
        }
        rw_lanes_store(block->dlog + at, 0, slope);
        rw_lanes_store(block->dk + at, 0, dk[t] + scores[t * BLOCK + t] * q);
        rw_lanes_store(block->dq + at, 0,
                       dq + scores[t * BLOCK + t] * rw_lanes_load(block->k + at, 0));
    }
}

static void leaf(const pairs *block, int begin)
{
    const int n = block->rows - begin;
    for (int c = 0; c < block->key; c += RW_LANES)
        if (n >= LEAF)
            leaf_column(block, begin, LEAF, c);
        else
            leaf_column(block, begin, n, c);
}

void rw_linear_attention_pairs_backward(const rw_linear_attention_pairs *block)
{
    for (int half = BLOCK / 2; half >= LEAF; half /= 2)
        for (int begin = 0; begin + half < block->rows; begin += 2 * half) {
            const int end = begin + 2 * half;
            join(block, begin, begin + half, end < block->rows ? end : block->rows);
        }
    for (int begin = 0; begin < block->rows; begin += LEAF) leaf(block, begin);
}
