/* The sums of attention over blocks. For each block of queries: the output over all blocks of keys
 * that the queries see, and its gradient. For each block of keys: the gradients over all queries
 * that see the keys. The operands may come in several arrivals: keys from the nearest to the
 * farthest, in decreasing order; queries in increasing order. Each sum is taken in this order,
 * block after block. So its bits depend neither on the rank that computes the sum, nor on the
 * arrivals. */
#ifndef RW_ATTENTION_PASS_H
#define RW_ATTENTION_PASS_H

#include <stdbool.h>
#include <stddef.h>

#include "ops/attention/attention_mask.h"
#include "tensor/real.h"

/* Most rows of a head in a block, so that scores stay in cache. */
#define RW_ATTENTION_BLOCK 128

/* The rows of a matrix: row r of slab l of sequence s is at at + s * sequence + l * slab + (r -
 * begin) * ld. A slab is a head of keys with its group of heads of queries, neighbouring columns.
 */
typedef struct {
    const real *at;
    size_t sequence, slab, ld;
    long begin;
} rw_attention_rows;
typedef struct {
    real *at; /* NULL: not wanted */
    size_t sequence, slab, ld;
    long begin;
    bool add; /* instead of writing */
} rw_attention_target;

/* The work: some sequences and slabs of the rows of a rank. */
typedef struct {
    const rw_attention_mask *mask;
    int group, width; /* heads of queries of a slab; columns of a head */
    real scale;
    int threads;
    rw_range sequences; /* of the mask; the first sequence is sequence 0 of the matrices */
    int slabs;
    rw_range rows;                      /* the rows with a sum */
    rw_range arrived;                   /* the present rows to be summed over, in whole blocks */
    bool resumed;                       /* sums wait in memory for further arrivals */
    rw_attention_rows q, k, v;          /* (group, width), (width), (width) columns a slab */
    rw_attention_rows dout, logs, dots; /* backward: (group, width), (group), (group) */
    real *memory;                       /* rw_attention_pass_reals */
} rw_attention_work;

/* Reals of memory for sums of `slabs` slabs of `rows` rows each (0: not resumed). */
size_t rw_attention_pass_reals(const rw_attention_work *work, long slabs, long rows);

/* For the rows of queries: out (group, width) and the logarithms of the sums, logs
 * (group). Threads of the rank share the work. */
void rw_attention_forward(const rw_attention_work *work, rw_attention_target out,
                          rw_attention_target logs);
/* For the rows of queries: dq (group, width). */
void rw_attention_backward_queries(const rw_attention_work *work, rw_attention_target dq);
/* For the rows of keys: dk, dv (width), over queries that have arrived. */
void rw_attention_backward_keys(const rw_attention_work *work, rw_attention_target dk,
                                rw_attention_target dv);
/* Both, the same bits, where all rows of a sequence are there (not resumed): with enough
 * slabs for the threads, weights are computed once instead of twice. */
void rw_attention_backward(const rw_attention_work *work, rw_attention_target dq,
                           rw_attention_target dk, rw_attention_target dv);

#endif
