#include "mpi/shift.h"

#include <string.h>

static void copy_within(long sequences, long local, size_t state, bool mirrored, const real *part,
                        real *out)
{
    size_t run = (size_t)(local - 1) * state;
    for (long b = 0; b < sequences && local > 1; b++) {
        const real *from = part + (size_t)b * (size_t)local * state;
        real *to = out + (size_t)b * (size_t)local * state;
        memcpy(mirrored ? to : to + state, mirrored ? from + state : from, run * sizeof(real));
    }
}

void rw_shift_run(const rw_layout *layout, long sequences, long local, size_t state, bool mirrored,
                  const real *part, real *out, real *buffer)
{
    copy_within(sequences, local, state, mirrored, part, out);
    if (layout->sp == 1) return;
    double start = rw_comm_begin();
    int left = layout->sp_rank > 0 ? layout->sp_rank - 1 : MPI_PROC_NULL;
    int right = layout->sp_rank < layout->sp - 1 ? layout->sp_rank + 1 : MPI_PROC_NULL;
    int to = mirrored ? left : right, from = mirrored ? right : left;
    size_t edge_out = mirrored ? 0 : (size_t)(local - 1), edge_in = (size_t)(local - 1) - edge_out;
    size_t all = (size_t)sequences * state;
    real *send = buffer, *receive = buffer + all;
    for (long b = 0; b < sequences; b++)
        memcpy(send + (size_t)b * state, part + ((size_t)(b * local) + edge_out) * state,
               state * sizeof(real));
    MPI_Sendrecv(send, (int)all, RW_MPI_REAL, to, 0, receive, (int)all, RW_MPI_REAL, from, 0,
                 layout->sp_comm, MPI_STATUS_IGNORE);
    for (long b = 0; b < sequences && from != MPI_PROC_NULL; b++)
        memcpy(out + ((size_t)(b * local) + edge_in) * state, receive + (size_t)b * state,
               state * sizeof(real));
    rw_comm_end_blocking(start, to != MPI_PROC_NULL ? (double)(all * sizeof(real)) : 0);
}

size_t rw_shift_bytes(const rw_layout *layout, long sequences, size_t state, bool mirrored)
{
    int last = mirrored ? 0 : layout->sp - 1;
    return layout->sp_rank == last ? 0 : (size_t)sequences * state * sizeof(real);
}
