/* Sends to one rank while receiving from another: the round of which exchanges
 * among the ranks of a sequence, or among all, are made. */
#ifndef RW_SWAP_H
#define RW_SWAP_H

#include <stddef.h>

#include "mpi/layout.h"

/* Sends `out` (n bytes) to rank `to` of layout->sp_comm and receives `in` (m
 * bytes) from rank `from`; either may be MPI_PROC_NULL. Any n, m: what is too
 * much for one message goes in several. Counts time and bytes. */
void rw_swap(const rw_layout *layout, int to, const void *out, size_t n, int from, void *in,
             size_t m);
/* The same among all ranks, layout->world. */
void rw_swap_world(const rw_layout *layout, int to, const void *out, size_t n, int from, void *in,
                   size_t m);

#endif
