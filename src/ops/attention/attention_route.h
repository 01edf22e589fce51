/* The exchange of attention between ranks, and its memory. Shared by softmax_attention.c and the
 * files of the two exchanges.
 *
 *   alone   a rank holds the whole sequence
 *   heads   all-to-all: a rank gets all rows of its heads of keys, with their groups
 *   ring    keys and values travel upward, for outputs and gradients of queries;
 *           queries travel downward, for gradients of keys and values
 *
 * S sequences, R of L rows, P ranks, H heads of queries and N of keys of d columns;
 * reals that a rank sends:
 *
 *   heads   forward   S R (H + 2 N) d (P-1)/P out, S R H (d + 1) (P-1)/P back
 *           backward  S R (2 H (d + 1) + 2 N d) (P-1)/P out, S R (H + 2 N) d (P-1)/P back
 *   ring    forward   2 S N d rows,  backward 2 S N d rows + 2 S H (d + 1) rows',
 *           where rank r passes on at most `rows` = R (r + 1), and rows' = R (P - r);
 *           the last rank passes on no rows, the first no rows': rw_ring_volume is exact.
 *           With a window of w: min(R, w-1) rows, rounded up to blocks.
 *
 * The ring works in waves of sequences and slabs. The unfinished sums of a wave take no more memory
 * than is allowed, or the memory of a slab. */
#ifndef RW_ATTENTION_ROUTE_H
#define RW_ATTENTION_ROUTE_H

#include "ops/attention/attention_pass.h"
#include "graph/layers.h"

typedef enum { RW_ATTENTION_ALONE, RW_ATTENTION_HEADS, RW_ATTENTION_RING } rw_attention_route;

/* Whole slabs: received by the all-to-all, or returned by it. */
enum {
    WHOLE_Q,
    WHOLE_K,
    WHOLE_V,
    WHOLE_OUT,
    WHOLE_LOGS,
    WHOLE_DOTS,
    WHOLE_DQ,
    WHOLE_DK,
    WHOLE_DV,
    WHOLES
};

typedef struct {
    const rw_span *span;
    rw_attention_route route;
    int slabs, group, width; /* N; H / N; d */
    rw_attention_mask mask;
    rw_attention_work work; /* without rows, matrices and memory filled in */
    long wave_sequences;    /* of a wave of the ring; */
    int wave_slabs;         /* less than all only if wave_sequences is 1 */

    /* Memory: */
    long *first;           /* of the mask */
    real *dots;            /* (sequences, stride, H) */
    real *pass;            /* of the sums */
    real *whole[WHOLES];   /* heads */
    real *buffer;          /* heads */
    real *block[2];        /* ring */
    rw_range *rows, *need; /* ring: (P) */
    size_t reals;          /* the memory of all members above */
} rw_attention_plan;

/* memory: out->reals reals; NULL to ask for the number. Not collective. The same on all ranks of
 * layout->sp_comm, except for the rows of the rank. Borrows all arguments. */
void rw_attention_plan_fill(const rw_node *node, const rw_span *span, real *memory,
                            rw_attention_plan *out);

/* Columns of a slab of whole[i]; reals of a row of a slab in a travelling block. */
int rw_attention_whole_width(const rw_attention_plan *plan, int whole);
size_t rw_attention_keys_width(const rw_attention_plan *plan);
size_t rw_attention_queries_width(const rw_attention_plan *plan);

/* A matrix of the rank's rows, `width` columns a slab. */
rw_attention_rows rw_attention_in_place(const rw_attention_plan *plan, const real *at, int ld,
                                        int width);
rw_attention_target rw_attention_to_place(const rw_attention_plan *plan, real *at, int ld,
                                          int width, bool add);

/* Collective over layout->sp_comm. plan->dots is filled in before backward. */
void rw_attention_heads_forward(const rw_attention_plan *plan, const rw_global *g);
void rw_attention_heads_backward(const rw_attention_plan *plan, const rw_global *g);
void rw_attention_ring_forward(const rw_attention_plan *plan, const rw_global *g);
void rw_attention_ring_backward(const rw_attention_plan *plan, const rw_global *g);

/* Inputs of the op. */
enum { ATTENTION_Q, ATTENTION_K, ATTENTION_V, ATTENTION_INS };

#endif
