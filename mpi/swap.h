/* Sends to one rank while receiving from another: the round of which exchanges
 * among the ranks of a sequence, or among all, are made. Any number of bytes:
 * what is too much for one message goes in several. Counts time and bytes. */
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

/* The same beside computation: `out` and `in` belong to the flight until it has
 * landed. Flights of one tag (1, 2, ...; 0 is that of rw_swap) between two ranks
 * are started in the same order on both. At most 32 GiB each way. */
enum { RW_SWAP_PIECES = 32 };
typedef struct {
    MPI_Request request[2 * RW_SWAP_PIECES];
    int requests;
    double bytes;
} rw_swap_flight;

void rw_swap_start(const rw_layout *layout, int tag, int to, const void *out, size_t n, int from,
                   void *in, size_t m, rw_swap_flight *flight);
/* Has it landed? Moves it on without waiting. Once, as it lands, true. */
bool rw_swap_landed(rw_swap_flight *flight);
/* Waits until it has landed. */
void rw_swap_finish(rw_swap_flight *flight);

#endif
