/* Counter-based random numbers: a value is a function of its key and index alone (seed, purpose,
 * step, global index): it does not depend on the rank, the thread or the time of its draw.
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). All functions
 * are pure and thread-safe. */
#ifndef RW_RANDOM_H
#define RW_RANDOM_H

#include <stdint.h>

/* The purpose of a stream: streams with the same seed and index give unrelated values. */
typedef enum {
    RW_RANDOM_WEIGHTS = 1,
    RW_RANDOM_ORDER,     /* order of training sequences */
    RW_RANDOM_TASK,      /* generated tasks */
    RW_RANDOM_TASK_EVAL, /* generated tasks, held-out part */
    RW_RANDOM_DROPOUT,
    RW_RANDOM_NOISE,  /* gradient noise */
    RW_RANDOM_SAMPLE, /* generation */
    RW_RANDOM_TEST,
    RW_RANDOM_HELDOUT, /* choice of held-out documents of a dataset */
} rw_purpose;

typedef struct {
    uint32_t key[2];
    uint32_t high[2]; /* upper half of the counter: e.g. the step */
} rw_random;

/* A stream for a purpose and a second number `stream` (a step, a tensor). */
rw_random rw_random_stream(uint64_t seed, rw_purpose purpose, uint64_t stream);

/* The index-th value of the stream. */
uint64_t rw_random_bits(rw_random stream, uint64_t index);
/* Values first, first + 1, ... of the stream, n of them: several at once by vectors. */
void rw_random_bits_run(rw_random stream, uint64_t first, int n, uint64_t *out);
/* Uniform in [0, 1), 53 bits. */
double rw_random_uniform(rw_random stream, uint64_t index);
/* Standard normal (Box-Muller; one value an index). */
double rw_random_normal(rw_random stream, uint64_t index);
/* Uniform in {0, ..., n-1}; n >= 1. Bias below n / 2^64. */
uint64_t rw_random_below(rw_random stream, uint64_t index, uint64_t n);

/* A pseudo-random permutation of {0, ..., n-1}: where `i` goes. Keyed by the
 * stream; O(1) memory and expected time (Feistel network with cycle walking). */
uint64_t rw_random_permute(rw_random stream, uint64_t i, uint64_t n);

#endif
