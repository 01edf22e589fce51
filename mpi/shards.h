/* Arrays cut into a contiguous shard for each rank: ownership, and gathering of the whole array. */
#ifndef RW_SHARDS_H
#define RW_SHARDS_H

#include <stddef.h>

#include "mpi/layout.h"
#include "tensor/real.h"

/* Shards begin at multiples of this many reals: a cache line of float. */
enum { RW_SHARD_UNIT = 16 };

/* The elements of an array of n reals that rank `rank` of `ranks` holds. Shards
 * lie in the order of ranks, differ by at most one unit, and may be empty. */
rw_range rw_shard_of(size_t n, int ranks, int rank);

/* whole (n reals) is right in the shard of this rank; afterwards everywhere. A ring: predicted
 * volume sent by a rank of P is n (P-1)/P reals: all shards but the shard of the rank to its right.
 * Collective over layout->world. */
void rw_shards_all_gather(const rw_layout *layout, size_t n, real *whole);
/* Bytes that this rank sends in rw_shards_all_gather. Not collective. */
size_t rw_shards_bytes(const rw_layout *layout, size_t n);

/* part: elements [own.begin, own.end) of an array; each element is on one rank. Gathers them in
 * `whole` of rank 0; `whole` of other ranks may be NULL. Collective over layout->world. */
void rw_shards_collect(const rw_layout *layout, rw_range own, const real *part, real *whole);

#endif
