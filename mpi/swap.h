/* Sends to a rank while receiving from another: one round of an exchange among the ranks of a
 * sequence, or among all ranks. Any number of bytes; large transfers use several messages. Counts
 * time and bytes. */
#ifndef RW_SWAP_H
#define RW_SWAP_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/layout.h"

/* Sends `out` (n bytes) to rank `to` of layout->sp_comm and receives `in` (m
 * bytes) from rank `from`; either may be MPI_PROC_NULL. */
void rw_swap(const rw_layout *layout, int to, const void *out, size_t n, int from, void *in,
             size_t m);
/* The same among all ranks, layout->world. */
void rw_swap_world(const rw_layout *layout, int to, const void *out, size_t n, int from, void *in,
                   size_t m);

/* The same beside computation: `out` and `in` are in use until the transfer has landed. Transfers
 * of a tag (1, 2, ...; tag 0 belongs to rw_swap) between two ranks are started in the same order on
 * both. At most 32 GiB in each direction. */
enum { RW_SWAP_PIECES = 32 };
typedef struct {
    MPI_Request request[2 * RW_SWAP_PIECES];
    int requests;
    double bytes;
} rw_swap_flight;

void rw_swap_start(const rw_layout *layout, int tag, int to, const void *out, size_t n, int from,
                   void *in, size_t m, rw_swap_flight *flight);
/* Has the transfer landed? Moves it on without waiting. True once, when it lands. */
bool rw_swap_landed(rw_swap_flight *flight);
/* Waits until the transfer has landed. */
void rw_swap_finish(rw_swap_flight *flight);

#endif
