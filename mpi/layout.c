#include "mpi/layout.h"

#include <limits.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/float_mode.h"

rw_range rw_split(long n, int parts, int index)
{
    return (rw_range){n * index / parts, n * (index + 1) / parts};
}

/* Starts the threads that all parallel regions of the program use, and returns how many
 * there are: OpenMP may give fewer than asked for (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS).
 * Sizes and work follow this number. */
static int start_threads(int wanted)
{
    int given = 1;
    omp_set_dynamic(0);
    omp_set_num_threads(wanted);
    rw_float_mode_flush();
#pragma omp parallel
    {
        rw_float_mode_flush();
#pragma omp master
        given = omp_get_num_threads();
    }
    omp_set_num_threads(given);
    return given;
}

static void fill(rw_layout *out, MPI_Comm world, int threads)
{
    MPI_Comm_dup(world, &out->world);
    MPI_Comm_rank(out->world, &out->rank);
    MPI_Comm_size(out->world, &out->size);
    rw_rank_cores_find(out->world, &out->cores);
    out->wanted_threads = threads > 0 ? threads : out->cores.own;
    out->threads = start_threads(out->wanted_threads);
    MPI_Allreduce(&out->threads, &out->most_threads, 1, MPI_INT, MPI_MAX, out->world);
}

rw_status rw_layout_new(int dp, int sp, int threads, rw_layout *out)
{
    memset(out, 0, sizeof *out);
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (dp <= 0 && sp <= 0) sp = 1;
    int asked = (dp > 0 ? dp : 1) * (sp > 0 ? sp : 1);
    bool both = dp > 0 && sp > 0;
    if (both ? asked != size : size % asked != 0)
        return rw_fail(RW_USAGE,
                       "dp %d x sp %d does not fit the %d rank%s that were started; start dp * sp "
                       "ranks (mpirun -n), or leave parallel.dp or parallel.sp at auto",
                       dp > 0 ? dp : 1, sp > 0 ? sp : 1, size, size == 1 ? "" : "s");
    if (dp <= 0) dp = size / sp;
    if (sp <= 0) sp = size / dp;
    fill(out, MPI_COMM_WORLD, threads);
    out->dp = dp;
    out->sp = sp;
    out->dp_rank = out->rank / sp;
    out->sp_rank = out->rank % sp;
    MPI_Comm_split(out->world, out->dp_rank, out->sp_rank, &out->sp_comm);
    return RW_OK;
}

rw_status rw_layout_alone(int threads, rw_layout *out)
{
    memset(out, 0, sizeof *out);
    fill(out, MPI_COMM_SELF, threads);
    out->dp = out->sp = 1;
    MPI_Comm_dup(MPI_COMM_SELF, &out->sp_comm);
    return RW_OK;
}

void rw_layout_free(rw_layout *layout)
{
    if (!layout->size) return;
    MPI_Comm_free(&layout->sp_comm);
    MPI_Comm_free(&layout->world);
    memset(layout, 0, sizeof *layout);
}

rw_status rw_agree(const rw_layout *layout, rw_status status)
{
    return rw_agree_comm(layout->world, status);
}

/* Where rank 0 is well and another rank is not, the cause lies with one host. */
static void copy_message(int rank, char out[RW_MESSAGE_SIZE])
{
    char host[64] = "";
    bool named = strncmp(rw_message(), "rank ", 5) == 0; /* it says already which rank */
    gethostname(host, sizeof host - 1);
    if (rank == 0 || named || !rw_message()[0])
        snprintf(out, RW_MESSAGE_SIZE, "%s", rw_message());
    else
        snprintf(out, RW_MESSAGE_SIZE, "%.*s (on %s, rank %d; rank 0 has no such trouble)",
                 RW_MESSAGE_SIZE - 160, rw_message(), host, rank);
}

rw_status rw_agree_comm(MPI_Comm comm, rw_status status)
{
    struct {
        int rank, status;
        char message[RW_MESSAGE_SIZE];
    } report = {0};
    int rank, size, first;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    int failed = status == RW_OK ? size : rank;
    MPI_Allreduce(&failed, &first, 1, MPI_INT, MPI_MIN, comm);
    if (first == size) return RW_OK;
    report.rank = rank;
    report.status = status;
    copy_message(rank, report.message);
    MPI_Bcast(&report, sizeof report, MPI_BYTE, first, comm);
    if (rank != first) {
        rw_clear_message();
        rw_fail((rw_status)report.status, "%s", report.message);
    }
    return (rw_status)report.status;
}

rw_status rw_check_message(double reals, const char *what, const char *remedy)
{
    if (reals <= INT_MAX) return RW_OK;
    return rw_fail(RW_ERROR, "%s: a message of %.0f numbers, and MPI counts to %d; %s", what, reals,
                   INT_MAX, remedy);
}

/* ---- Counters ------------------------------------------------------------- */

rw_comm_counters rw_comm_count;
static int in_flight;
static double busy_since; /* with in_flight > 0 */

double rw_comm_begin(void)
{
    double now = MPI_Wtime();
    if (in_flight++ == 0) busy_since = now;
    return now;
}

void rw_comm_waited(double start)
{
    rw_comm_count.exposed += MPI_Wtime() - start;
}

void rw_comm_end(double bytes)
{
    rw_comm_count.bytes += bytes;
    if (--in_flight == 0) rw_comm_count.seconds += MPI_Wtime() - busy_since;
}

void rw_comm_end_blocking(double start, double bytes)
{
    rw_comm_waited(start);
    rw_comm_end(bytes);
}
