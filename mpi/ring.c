#include "mpi/ring.h"

#include <assert.h>

static rw_range common(rw_range a, rw_range b)
{
    rw_range both = {a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end};
    return both.begin < both.end ? both : (rw_range){0, 0};
}

static bool is_rank(const rw_ring *ring, int rank)
{
    return rank >= 0 && rank < ring->layout->sp;
}

/* The part of the block of `owner` that `rank` gets; empty if there is no such rank. */
static rw_range wanted(const rw_ring *ring, int owner, int rank)
{
    if (!is_rank(ring, owner) || !is_rank(ring, rank)) return (rw_range){0, 0};
    return common(ring->rows[owner], ring->need[rank]);
}

/* A hop in flight: the part of the held rows for the next rank, and the next block. */
typedef struct {
    MPI_Request request[2];
    int count;
    double bytes;
} hop;

static long count_of(rw_range range)
{
    return range.end - range.begin;
}

static void start_hop(const rw_ring *ring, MPI_Datatype row, rw_range held, const real *block,
                      int owner, real *spare, hop *h)
{
    const int me = ring->layout->sp_rank, ahead = ring->upward ? 1 : -1;
    const rw_range out = wanted(ring, owner, me + ahead), in = wanted(ring, owner - ahead, me);
    const MPI_Comm comm = ring->layout->sp_comm;
    *h = (hop){.count = 0};
    if (count_of(in) == 0 && count_of(out) == 0) return;
    rw_comm_begin();
    if (count_of(in) > 0)
        MPI_Irecv(spare, (int)count_of(in), row, me - ahead, 0, comm, &h->request[h->count++]);
    if (count_of(out) == 0) return;
    assert(held.begin <= out.begin && out.end <= held.end);
    MPI_Isend(block + (size_t)(out.begin - held.begin) * ring->width, (int)count_of(out), row,
              me + ahead, 0, comm, &h->request[h->count++]);
    h->bytes = (double)count_of(out) * (double)ring->width * sizeof(real);
}

static void finish_hop(hop *h)
{
    if (h->count == 0) return;
    double start = MPI_Wtime();
    MPI_Waitall(h->count, h->request, MPI_STATUSES_IGNORE);
    rw_comm_waited(start);
    rw_comm_end(h->bytes);
}

void rw_ring_run(const rw_ring *ring, real *const block[2], rw_ring_visit visit, void *context)
{
    const int me = ring->layout->sp_rank, ahead = ring->upward ? 1 : -1;
    rw_range held = ring->rows[me];
    MPI_Datatype row;
    MPI_Type_contiguous((int)ring->width, RW_MPI_REAL, &row);
    MPI_Type_commit(&row);
    for (int owner = me, at = 0; count_of(held) > 0; owner -= ahead, at = !at) {
        hop h;
        start_hop(ring, row, held, block[at], owner, block[!at], &h);
        visit(context, held, block[at]);
        finish_hop(&h);
        held = wanted(ring, owner - ahead, me);
    }
    MPI_Type_free(&row);
}

double rw_ring_volume(const rw_ring *ring, int rank)
{
    const int ahead = ring->upward ? 1 : -1;
    double rows = 0;
    for (int owner = rank; is_rank(ring, owner); owner -= ahead)
        rows += (double)count_of(wanted(ring, owner, rank + ahead));
    return rows * (double)ring->width;
}
