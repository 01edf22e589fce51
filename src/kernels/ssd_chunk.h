/* The state-space dual of Mamba-2 on one chunk (Dao and Gu 2024, "Transformers
 * are SSMs", section 6 and listing 1), with one group of B and C shared by the
 * heads. Per head, with state h (N, P):
 *
 *   dt_t = softplus(raw_t + dt_bias)      a_t = dt_t A,  A = -exp(a_log)
 *   h_t  = e^{a_t} h_{t-1} + dt_t B_t x_t^T          y_t = C_t^T h_t + skip x_t
 *
 * A chunk is a row of blocks of RW_SSD_BLOCK tokens. Inside a block, with cum
 * the inclusive sum of a from the block's start and n its last token:
 *
 *   y_t   = sum_{s<=t} e^{cum_t-cum_s} (C_t.B_s) dt_s x_s + e^{cum_t} C_t h_in + skip x_t
 *   h_out = e^{cum_n} h_in + sum_s e^{cum_n-cum_s} dt_s B_s x_s^T
 *
 * which are matrix products; blocks are taken in order. The work per token does
 * not grow with the chunk. All exponents are <= 0.
 *
 * A state is (N, H P), row-major: the columns of a head are next to each other.
 * Kernels are pure: no allocation, no I/O, no globals. */
#ifndef RW_SSD_CHUNK_H
#define RW_SSD_CHUNK_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

#define RW_SSD_BLOCK 64 /* docs/decisions/0008-ssd-chunk.md */

/* A chunk and its parameters, borrowed. */
typedef struct {
    int rows, heads, head_width, state; /* L, H, P, N; all >= 1 */
    const real *x, *b, *c;              /* (L, H P), (L, N), (L, N) */
    int ld;                             /* of x, b and c */
    const real *raw;                    /* (L, H) */
    int raw_ld;
    const real *dt_bias, *a_log, *skip; /* (H) */
} rw_ssd_chunk;

/* A of a head. */
static inline real rw_ssd_transition(const rw_ssd_chunk *chunk, int head)
{
    return -(real)exp((double)chunk->a_log[head]);
}

/* Where the gradient goes. */
typedef struct {
    real *x, *b, *c; /* NULL, all three: not wanted */
    int ld;
    bool add;  /* add to x, b, c instead of writing them */
    real *raw; /* NULL: not wanted */
    int raw_ld;
    bool raw_add;
    real *dt_bias, *a_log, *skip; /* always added to */
} rw_ssd_grad;

/* Scratch, in reals, for any of the functions below on up to `rows` rows. */
size_t rw_ssd_scratch_reals(int rows, int heads, int head_width, int state);

/* The chunk as an affine transition of the state, h_out = transition h_in + state:
 * transition (H), state (N, H P). */
void rw_ssd_summary(const rw_ssd_chunk *chunk, real *transition, real *state, real *scratch);

/* y (L, H P), from the state at the chunk's start (NULL: zero). */
void rw_ssd_forward(const rw_ssd_chunk *chunk, const real *state_in, real *y, int ldy,
                    real *scratch);

/* d loss / d state_in by way of this chunk's y alone; dstate_in (N, H P). */
void rw_ssd_adjoint(const rw_ssd_chunk *chunk, const real *dy, int lddy, real *dstate_in,
                    real *scratch);

/* Gradients from dy and from dstate_out, d loss / d (state at the chunk's end). NULL
 * states are zero. */
void rw_ssd_backward(const rw_ssd_chunk *chunk, const real *state_in, const real *dstate_out,
                     const real *dy, int lddy, const rw_ssd_grad *grad, real *scratch);

/* One token (L = 1): updates the state in place; y (H P). */
void rw_ssd_step(const rw_ssd_chunk *chunk, real *state, real *y);

/* The recurrence as written above, in double, from a zero state. */
void rw_ssd_reference(const rw_ssd_chunk *chunk, real *y, int ldy);

/* Multiplications and additions of forward with summary, each counted once, in
 * the block form; of the products inside a block the lower triangle. */
double rw_ssd_flops(int rows, int heads, int head_width, int state);

#define RW_SSD_MAX_STATE 1024 /* N: rw_ssd_reference keeps a column on the stack */

#endif
