/* Values by chunk in tests of what crosses ranks: the same on every rank, cut into
 * the parts that a layout gives it. */
#ifndef RW_TESTS_CHUNK_PARTS_H
#define RW_TESTS_CHUNK_PARTS_H

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "mpi/layout.h"
#include "tensor/real.h"

#define EPSILON (sizeof(real) == 8 ? 1e-12 : 2e-5)

enum { MOST_CHUNKS = 33, SEQUENCES = 5, LONGEST = 100 };

/* A value that nobody computes: what must not be written keeps it. */
static const real untouched = (real)-12345.5;

static inline real *new_reals(size_t count)
{
    real *out;
    assert_int_equal(rw_alloc(count, sizeof(real), "a test", &out), RW_OK);
    return out;
}

/* Uniform in [-1, 1), by global index, so that every rank draws the same. */
static inline void fill(real *out, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(11, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (real)(2 * rw_random_uniform(random, i) - 1);
}

static inline void fill_with(real *out, size_t count, real value)
{
    for (size_t i = 0; i < count; i++) out[i] = value;
}

/* Calls `check` on every layout of all ranks on which each has a sequence, with
 * one and two threads. */
static inline void on_every_layout(void (*check)(const rw_layout *layout))
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int dp = 1; dp <= size && dp <= SEQUENCES; dp++)
        for (int threads = 1; threads <= 2 && size % dp == 0; threads++) {
            rw_layout layout;
            assert_int_equal(rw_layout_new(dp, size / dp, threads, &layout), RW_OK);
            check(&layout);
            rw_layout_free(&layout);
        }
}

/* This rank's part of values (SEQUENCES, chunks, n) of all, and back again. */
static inline void take_part(const rw_layout *layout, long chunks, size_t n, const real *all,
                             real *part)
{
    rw_range b = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
    size_t row = (size_t)(c.end - c.begin) * n;
    for (long i = b.begin; i < b.end; i++, part += row)
        memcpy(part, all + (size_t)(i * chunks + c.begin) * n, row * sizeof(real));
}

static inline bool is_part(const rw_layout *layout, long chunks, size_t n, const real *all,
                           const real *part)
{
    rw_range b = rw_split(SEQUENCES, layout->dp, layout->dp_rank);
    rw_range c = rw_split(chunks, layout->sp, layout->sp_rank);
    size_t row = (size_t)(c.end - c.begin) * n;
    for (long i = b.begin; i < b.end; i++, part += row)
        if (memcmp(part, all + (size_t)(i * chunks + c.begin) * n, row * sizeof(real)))
            return false;
    return true;
}

#endif
