#include "mpi/host_memory.h"

#include <unistd.h>

#include "base/memory.h"

static rw_status check(double planned, double limit, int ranks)
{
    char name[256] = "a host";
    if (planned <= limit) return RW_OK;
    gethostname(name, sizeof name - 1);
    return rw_fail(RW_ERROR,
                   "out of memory: the %d ranks on %s need %.1f MiB, the machine or job has %.1f "
                   "MiB; use fewer ranks a host, a smaller model, data.batch or data.length, or "
                   "train.recompute",
                   ranks, name, planned / 1048576.0, limit / 1048576.0);
}

rw_status rw_host_memory_check(const rw_layout *layout)
{
    MPI_Comm host;
    int ranks;
    double planned = (double)rw_memory_in_use(), limit = (double)rw_memory_limit();
    MPI_Comm_split_type(layout->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &ranks);
    MPI_Allreduce(MPI_IN_PLACE, &planned, 1, MPI_DOUBLE, MPI_SUM, host);
    MPI_Allreduce(MPI_IN_PLACE, &limit, 1, MPI_DOUBLE, MPI_MIN, host);
    MPI_Comm_free(&host);
    return rw_agree(layout, check(planned, limit, ranks));
}
