/* Step sizes and decays of the state-space dual (kernels/ssd_chunk.h), of one head over a chunk.
 *
 * The decay from token s of a block to token t is e^{cum_t-cum_s}, with cum the sum of a from
 * the block's start. Where decays are strong, cum goes to the thousands, and the difference of
 * two such sums may be of any size: a sum in one float would lose the decays of all tokens
 * behind a strong one (docs/decisions/0025-decay-gradients.md). So the sum is kept as
 * cum + rest.
 *
 * Kernels are pure: no allocation, no I/O, no globals. */
#ifndef RW_SSD_DECAY_H
#define RW_SSD_DECAY_H

#include "kernels/elementary.h"
#include "kernels/ssd_chunk.h"

#define RW_SSD_STRIP 16 /* entries of a row of a matrix of pairs treated at once */

/* All (padded): the tokens of a chunk rounded up to whole blocks. */
typedef struct {
    real *dt;
    real *cum, *rest;
    real *in;  /* e^{cum_t} */
    real *out; /* e^{cum_n-cum_t}, n the block's last token */
} rw_ssd_decays;

/* Fills the arrays of `decays` for a head; beyond the chunk's rows dt is zero. */
void rw_ssd_decays_make(const rw_ssd_chunk *chunk, int head, int padded,
                        const rw_ssd_decays *decays);

/* e[s] = e^{cum_t-cum_s} of the strip of s from `begin` on; zero for s > t. cum and rest are
 * those of a block. */
static inline void rw_ssd_decay_strip(const real *restrict cum, const real *restrict rest, int t,
                                      int begin, real *restrict e)
{
#pragma omp simd
    for (int s = 0; s < RW_SSD_STRIP; s++) {
        real exponent = (cum[t] - cum[begin + s]) + (rest[t] - rest[begin + s]);
        real value = rw_exp(exponent < 0 ? exponent : 0);
        e[s] = begin + s <= t ? value : 0;
    }
}

#endif
