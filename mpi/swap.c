#include "mpi/swap.h"

#include <assert.h>

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

void rw_swap_start(const rw_layout *layout, int tag, int to, const void *out, size_t n, int from,
                   void *in, size_t m, rw_swap_flight *f)
{
    double start = rw_comm_begin();
    const char *give = out;
    char *take = in;
    f->requests = 0;
    f->bytes = to != MPI_PROC_NULL ? (double)n : 0;
    assert(n <= RW_SWAP_PIECES * LARGEST && m <= RW_SWAP_PIECES * LARGEST);
    for (size_t now; from != MPI_PROC_NULL && m; m -= now, take += now) {
        now = piece(m);
        MPI_Irecv(take, (int)now, MPI_BYTE, from, tag, layout->sp_comm, &f->request[f->requests++]);
    }
    for (size_t now; to != MPI_PROC_NULL && n; n -= now, give += now) {
        now = piece(n);
        MPI_Isend(give, (int)now, MPI_BYTE, to, tag, layout->sp_comm, &f->request[f->requests++]);
    }
    rw_comm_waited(start);
}

bool rw_swap_landed(rw_swap_flight *f)
{
    int landed;
    MPI_Testall(f->requests, f->request, &landed, MPI_STATUSES_IGNORE);
    if (landed) rw_comm_end(f->bytes);
    return landed;
}

void rw_swap_finish(rw_swap_flight *f)
{
    double start = MPI_Wtime();
    MPI_Waitall(f->requests, f->request, MPI_STATUSES_IGNORE);
    rw_comm_end_blocking(start, f->bytes);
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
