/* The layout: the division of sequences and chunks among ranks and threads.
 *
 * World rank r has dp_rank = r / sp and sp_rank = r % sp: the ranks that share
 * a sequence are neighbours. Each rank holds a contiguous range of sequences
 * of the batch and a contiguous range of chunks of each; the sizes of ranges differ by at
 * most 1. Results do not depend on the layout (docs/architecture.md). */
#ifndef RW_LAYOUT_H
#define RW_LAYOUT_H

#include <mpi.h>

#include "base/status.h"
#include "mpi/rank_cores.h"

typedef struct {
    MPI_Comm world;   /* all ranks; a duplicate owned by the layout */
    MPI_Comm sp_comm; /* the ranks that share this rank's sequences, by sp_rank */
    int rank, size;
    int dp, sp;
    int dp_rank, sp_rank;
    int threads;        /* OpenMP threads of this rank: as many as OpenMP really gives */
    int wanted_threads; /* as many as were asked for, or fit the cores */
    int most_threads;   /* of any rank: for decisions that must be equal on all ranks */
    rw_rank_cores cores;
} rw_layout;

typedef struct {
    long begin, end; /* half open */
} rw_range;

/* Part `index` of `parts` contiguous parts of {0..n-1}; sizes differ by at most one. */
rw_range rw_split(long n, int parts, int index);

/* Collective over MPI_COMM_WORLD. dp or sp may be 0 (auto): dp takes what sp
 * leaves, sp is 1 unless dp is given. dp * sp must equal the number of ranks
 * (RW_USAGE). threads 0: as many as this
 * rank has cores of its own (rank_cores.h). Starts the OpenMP threads, and makes every one of
 * them flush subnormal numbers. */
rw_status rw_layout_new(int dp, int sp, int threads, rw_layout *out);
/* A layout of this process alone (MPI_COMM_SELF). */
rw_status rw_layout_alone(int threads, rw_layout *out);
void rw_layout_free(rw_layout *layout);

/* Collective over layout->world: every rank gets the status of the lowest
 * rank that failed, RW_OK if none did; that rank's message replaces the
 * message of all, with its host if rank 0 did not fail. To be called before any decision that
 * changes later collectives. */
rw_status rw_agree(const rw_layout *layout, rw_status status);
/* The same over any communicator. */
rw_status rw_agree_comm(MPI_Comm comm, rw_status status);

/* Fails (RW_ERROR) if `reals` is more than one message can hold: MPI counts
 * with int. To be called when an exchange is planned; `what` names it,
 * `remedy` says what the user can do. */
rw_status rw_check_message(double reals, const char *what, const char *remedy);

/* Counters of this rank's exchanges of carries, gradients and weights, since
 * the start. */
typedef struct {
    double seconds; /* with at least one of them in flight */
    double exposed; /* of these, while the rank waited for it instead of computing */
    double bytes;   /* payload sent to other ranks */
} rw_comm_counters;
extern rw_comm_counters rw_comm_count;

/* Around each exchange, by the thread that calls MPI. Exchanges may be in flight
 * at the same time, beside one another and beside computation. rw_comm_begin
 * returns the time, rw_comm_waited counts the time since `start` as exposed,
 * rw_comm_end adds what the exchange sent. */
double rw_comm_begin(void);
void rw_comm_waited(double start);
void rw_comm_end(double bytes);
/* The end of an exchange that the rank waited for since it began. */
void rw_comm_end_blocking(double start, double bytes);

#endif
