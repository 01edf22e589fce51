#include "mpi/shards.h"

#include <string.h>

#include "mpi/swap.h"

rw_range rw_shard_of(size_t n, int ranks, int rank)
{
    long units = (long)((n + RW_SHARD_UNIT - 1) / RW_SHARD_UNIT), all = (long)n;
    rw_range u = rw_split(units, ranks, rank);
    long begin = u.begin * RW_SHARD_UNIT, end = u.end * RW_SHARD_UNIT;
    return (rw_range){begin < all ? begin : all, end < all ? end : all};
}

static size_t bytes_of(rw_range range)
{
    return (size_t)(range.end - range.begin) * sizeof(real);
}

void rw_shards_all_gather(const rw_layout *layout, size_t n, real *whole)
{
    int ranks = layout->size, rank = layout->rank;
    int left = (rank + ranks - 1) % ranks, right = (rank + 1) % ranks;
    for (int k = 0; k < ranks - 1; k++) {
        rw_range out = rw_shard_of(n, ranks, (rank + ranks - k) % ranks);
        rw_range in = rw_shard_of(n, ranks, (left + ranks - k) % ranks);
        rw_swap_world(layout, right, whole + out.begin, bytes_of(out), left, whole + in.begin,
                      bytes_of(in));
    }
}

size_t rw_shards_bytes(const rw_layout *layout, size_t n)
{
    return n * sizeof(real) -
           bytes_of(rw_shard_of(n, layout->size, (layout->rank + 1) % layout->size));
}

void rw_shards_collect(const rw_layout *layout, rw_range own, const real *part, real *whole)
{
    if (layout->rank != 0) {
        rw_swap_world(layout, 0, &own, sizeof own, MPI_PROC_NULL, NULL, 0);
        rw_swap_world(layout, 0, part, bytes_of(own), MPI_PROC_NULL, NULL, 0);
        return;
    }
    memcpy(whole + own.begin, part, bytes_of(own));
    for (int q = 1; q < layout->size; q++) {
        rw_range theirs;
        rw_swap_world(layout, MPI_PROC_NULL, NULL, 0, q, &theirs, sizeof theirs);
        rw_swap_world(layout, MPI_PROC_NULL, NULL, 0, q, whole + theirs.begin, bytes_of(theirs));
    }
}
