#include "mpi/swap.h"

/* MPI counts are ints. */
static const size_t LARGEST = (size_t)1 << 30;

static size_t piece(size_t left)
{
    return left < LARGEST ? left : LARGEST;
}

static void swap(MPI_Comm comm, int to, const void *out, size_t n, int from, void *in, size_t m)
{
    double start = rw_comm_begin(), bytes = to != MPI_PROC_NULL ? (double)n : 0;
    const char *give = out;
    char *take = in;
    while (n || m) {
        size_t gives = piece(n), takes = piece(m);
        MPI_Sendrecv(give, (int)gives, MPI_BYTE, gives ? to : MPI_PROC_NULL, 0, take, (int)takes,
                     MPI_BYTE, takes ? from : MPI_PROC_NULL, 0, comm, MPI_STATUS_IGNORE);
        give += gives;
        take += takes;
        n -= gives;
        m -= takes;
    }
    rw_comm_end_blocking(start, bytes);
}

void rw_swap(const rw_layout *layout, int to, const void *out, size_t n, int from, void *in,
             size_t m)
{
    swap(layout->sp_comm, to, out, n, from, in, m);
}

void rw_swap_world(const rw_layout *layout, int to, const void *out, size_t n, int from, void *in,
                   size_t m)
{
    swap(layout->world, to, out, n, from, in, m);
}
