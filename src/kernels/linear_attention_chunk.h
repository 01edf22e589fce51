/* Linear attention with decay on one chunk. Per head, with state S (K, V):
 *
 *   S_t = diag(a_t) S_{t-1} + k_t v_t^T          o_t = scale S_t^T q_t
 *
 *   no decay        a = 1
 *   by head         a = 1 - 2^(-5-h), head h of 0, 1, ...: not learned (Sun et al. 2023,
 *                   "Retentive network", equation 8)
 *   by channel      log a_tc = max(log sigmoid(gate_tc) / 16, RW_LINEAR_ATTENTION_FLOOR)
 *                   (Yang et al. 2023, "Gated linear attention transformers", section 4.4)
 *
 * A chunk is a row of blocks, taken in order with the state passed along. Inside a
 * block, with e_t = exp(log a_1 + ... + log a_t) from the block's start, n its last token:
 *
 *   q'_t = scale e_t q_t      k'_s = k_s / e_s       (element by element)
 *   o_t  = sum_{s<=t} (q'_t.k'_s) v_s + S_in^T q'_t
 *   S_out = diag(e_n) (S_in + sum_s k'_s v_s^T)
 *
 * which are matrix products. 1 / e_s is what limits the block: with 32 tokens and the
 * floor it stays below e^32 (docs/decisions/0010-linear-attention.md).
 *
 * A state is (H, K, V), row-major. Kernels are pure: no allocation, no I/O, no globals. */
#ifndef RW_LINEAR_ATTENTION_CHUNK_H
#define RW_LINEAR_ATTENTION_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/real.h"

#define RW_LINEAR_ATTENTION_BLOCK   32   /* tokens */
#define RW_LINEAR_ATTENTION_FLOOR   (-1) /* of log a of a token: a >= 0.37 */
#define RW_LINEAR_ATTENTION_MAX_KEY 1024 /* K: the reference keeps a column on the stack */

typedef enum { RW_DECAY_NONE, RW_DECAY_HEAD, RW_DECAY_CHANNEL } rw_decay;

/* A chunk, borrowed. */
typedef struct {
    int rows, heads, key, value; /* L, H, K, V; all >= 1 */
    rw_decay decay;
    real scale;
    const real *q, *k; /* (L, H K) */
    const real *v;     /* (L, H V) */
    const real *gate;  /* (L, H K); read with decay by channel only */
    int q_ld, k_ld, v_ld, gate_ld;
} rw_linear_attention;

/* A matrix that receives a gradient. */
typedef struct {
    real *out; /* NULL: not wanted */
    int ld;
    bool add; /* to what is there, instead of writing it */
} rw_linear_attention_target;

typedef struct {
    rw_linear_attention_target q, k, v, gate;
} rw_linear_attention_grad;

/* Scratch, in reals, for any of the functions below on up to `rows` rows. */
size_t rw_linear_attention_scratch(int rows, int key, int value);
/* Reals of the transition A of a chunk, H K, H or 0. */
size_t rw_linear_attention_map(int heads, int key, rw_decay decay);

/* The chunk as an affine map of the state, S_out = A S_in + state. */
void rw_linear_attention_summary(const rw_linear_attention *chunk, real *transition, real *state,
                                 real *scratch);

/* y (L, H V), from the state at the chunk's start (NULL: zero). */
void rw_linear_attention_forward(const rw_linear_attention *chunk, const real *state_in, real *y,
                                 int ldy, real *scratch);

/* d loss / d state_in by way of this chunk's y alone. */
void rw_linear_attention_adjoint(const rw_linear_attention *chunk, const real *dy, int lddy,
                                 real *dstate_in, real *scratch);

/* Gradients from dy and from dstate_out, d loss / d (state at the chunk's end). NULL
 * states are zero. */
void rw_linear_attention_backward(const rw_linear_attention *chunk, const real *state_in,
                                  const real *dstate_out, const real *dy, int lddy,
                                  const rw_linear_attention_grad *grad, real *scratch);

/* One token (L = 1): updates the state in place; y (H V). */
void rw_linear_attention_step(const rw_linear_attention *chunk, real *state, real *y);

/* The recurrence as written above, in double, from a zero state. */
void rw_linear_attention_reference(const rw_linear_attention *chunk, real *y, int ldy);

/* y = A x + b on the states of heads [begin, end); x NULL: zero. y may be b. */
void rw_linear_attention_advance(int key, int value, rw_decay decay, const real *transition,
                                 int begin, int end, const real *x, const real *b, real *y);

/* Multiplications and additions of forward with summary, in the block form; of the
 * products inside a block the lower triangle. */
double rw_linear_attention_flops(int rows, int heads, int key, int value, rw_decay decay);

#endif
