#include "mpi/halo.h"

#include <string.h>

#include "base/memory.h"

/* Reals that `bytes` take, up to the next multiple of RW_ALIGNMENT. */
static size_t padded(size_t bytes)
{
    return (bytes + RW_ALIGNMENT - 1) / RW_ALIGNMENT * RW_ALIGNMENT / sizeof(real);
}

static size_t request_reals(const rw_halo *halo)
{
    return padded(2 * (size_t)halo->span->layout->sp * sizeof(MPI_Request));
}

/* The workspace: | requests: receive from each rank, send to each rank | rows received | rows to
 * send |. Workspaces come from rw_alloc, which aligns them for any type. */
typedef struct {
    MPI_Request *requests;
    real *rows;
} memory;

static memory memory_of(const rw_halo *halo, real *workspace)
{
    return (memory){(void *)workspace, workspace + request_reals(halo)};
}

static long at_most(long value, long most)
{
    return value < most ? value : most;
}

/* Tokens of a rank's halo, as far as the sequence has them. */
static rw_range halo_of(const rw_halo *halo, int rank)
{
    rw_range rows = rw_span_rows(halo->span, rank);
    if (halo->side == RW_HALO_AFTER)
        return (rw_range){rows.end, at_most(rows.end + halo->reach, halo->span->length)};
    return (rw_range){rows.begin > halo->reach ? rows.begin - halo->reach : 0, rows.begin};
}

/* Tokens that `owner` has for `reader`. */
static rw_range shared(const rw_halo *halo, int owner, int reader)
{
    rw_range a = rw_span_rows(halo->span, owner), b = halo_of(halo, reader);
    rw_range both = {a.begin > b.begin ? a.begin : b.begin, at_most(a.end, b.end)};
    return both.begin < both.end ? both : (rw_range){0, 0};
}

/* Rows of one sequence that `owner` sends to `reader`. */
static long message_rows(const rw_halo *halo, int owner, int reader)
{
    rw_range rows = shared(halo, owner, reader);
    return rows.end - rows.begin;
}

static long rows_sent(const rw_halo *halo, int owner)
{
    long rows = 0;
    for (int reader = 0; reader < halo->span->layout->sp; reader++)
        rows += message_rows(halo, owner, reader);
    return rows;
}

size_t rw_halo_workspace(const rw_halo *halo)
{
    int me = halo->span->layout->sp_rank;
    rw_range received = halo_of(halo, me);
    long rows = received.end - received.begin + rows_sent(halo, me);
    size_t reals = (size_t)(halo->span->most * rows) * (size_t)halo->width;
    return request_reals(halo) + padded(reals * sizeof(real));
}

double rw_halo_bytes(const rw_halo *halo, int sp_rank)
{
    long rows = halo->span->sequences * rows_sent(halo, sp_rank);
    return (double)rows * halo->width * (double)sizeof(real);
}

/* The rows for `reader`, all sequences one after the other. */
static void pack(const rw_halo *halo, int reader, const real *x, int ld, real *out)
{
    int me = halo->span->layout->sp_rank;
    rw_range rows = shared(halo, me, reader);
    long first = halo->span->rows.begin;
    for (long b = 0; b < halo->span->sequences; b++)
        for (long t = rows.begin; t < rows.end; t++, out += halo->width)
            memcpy(out, x + (b * halo->span->stride + t - first) * ld,
                   (size_t)halo->width * sizeof *out);
}

void rw_halo_start(const rw_halo *halo, const real *x, int ld, real *workspace)
{
    double start = rw_comm_begin();
    const rw_layout *layout = halo->span->layout;
    int me = layout->sp_rank;
    const memory m = memory_of(halo, workspace);
    MPI_Request *request = m.requests;
    real *buffer = m.rows;
    MPI_Datatype row; /* counts of rows stay far from the limit of int */
    MPI_Type_contiguous(halo->width, RW_MPI_REAL, &row);
    MPI_Type_commit(&row);
    for (int owner = 0; owner < layout->sp; owner++, request++) {
        long rows = halo->span->sequences * message_rows(halo, owner, me);
        *request = MPI_REQUEST_NULL;
        if (rows > 0) MPI_Irecv(buffer, (int)rows, row, owner, 0, layout->sp_comm, request);
        buffer += rows * halo->width;
    }
    for (int reader = 0; reader < layout->sp; reader++, request++) {
        long rows = halo->span->sequences * message_rows(halo, me, reader);
        *request = MPI_REQUEST_NULL;
        if (rows == 0) continue;
        pack(halo, reader, x, ld, buffer);
        MPI_Isend(buffer, (int)rows, row, reader, 0, layout->sp_comm, request);
        buffer += rows * halo->width;
    }
    MPI_Type_free(&row); /* MPI keeps the type until its messages are done */
    rw_comm_waited(start);
}

/* The rows from `owner` to their place in out; returns the reals read. */
static long unpack(const rw_halo *halo, int owner, const real *from, real *out)
{
    int me = halo->span->layout->sp_rank;
    rw_range rows = shared(halo, owner, me), mine = halo->span->rows;
    long first = halo->side == RW_HALO_AFTER ? mine.end : mine.begin - halo->reach;
    long run = (rows.end - rows.begin) * halo->width;
    for (long b = 0; b < halo->span->sequences && run > 0; b++) {
        long to = b * halo->reach + rows.begin - first;
        memcpy(out + to * halo->width, from + b * run, (size_t)run * sizeof *out);
    }
    return halo->span->sequences * run;
}

/* The rows that the sequence does not have. */
static void clear_missing(const rw_halo *halo, real *out)
{
    rw_range have = halo_of(halo, halo->span->layout->sp_rank);
    long missing = halo->reach - (have.end - have.begin);
    long first = halo->side == RW_HALO_AFTER ? halo->reach - missing : 0;
    for (long b = 0; b < halo->span->sequences; b++)
        memset(out + (b * halo->reach + first) * halo->width, 0,
               (size_t)(missing * halo->width) * sizeof *out);
}

void rw_halo_finish(const rw_halo *halo, real *out, real *workspace)
{
    double start = MPI_Wtime();
    int ranks = halo->span->layout->sp;
    const memory m = memory_of(halo, workspace);
    const real *from = m.rows;
    MPI_Waitall(2 * ranks, m.requests, MPI_STATUSES_IGNORE);
    rw_comm_waited(start);
    rw_comm_end(rw_halo_bytes(halo, halo->span->layout->sp_rank));
    for (int owner = 0; owner < ranks; owner++) from += unpack(halo, owner, from, out);
    clear_missing(halo, out);
}
