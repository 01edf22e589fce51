#include "mpi/rank_cores.h"

#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu_quota.h"
#include "base/memory.h"

/* The cores that a rank may use. */
typedef struct {
    cpu_set_t cores;
    double quota; /* cores; 0: none */
    char group[RW_CPU_GROUP_SIZE];
} share;

/* False on hosts with more cores than a cpu_set_t counts. */
static bool own_share(share *out)
{
    memset(out, 0, sizeof *out);
    out->quota = rw_cpu_quota(out->group);
    return sched_getaffinity(0, sizeof out->cores, &out->cores) == 0;
}

/* For each core that the rank may use, the share that other ranks leave. */
static double part_of_cores(const share *own, const share *all, int ranks, int *allowed)
{
    double part = 0;
    *allowed = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        int users = 0;
        for (int r = 0; r < ranks; r++) users += CPU_ISSET(core, &all[r].cores) != 0;
        *allowed += users > 0;
        if (users > 0 && CPU_ISSET(core, &own->cores)) part += 1.0 / users;
    }
    return part;
}

static double part_of_quota(const share *own, const share *all, int ranks)
{
    int users = 0;
    for (int r = 0; r < ranks; r++) users += strcmp(all[r].group, own->group) == 0;
    return own->quota / (users > 0 ? users : 1);
}

/* The launcher started this process; its own cores were not narrowed. */
static int cores_of_launcher(int allowed)
{
    cpu_set_t cores;
    if (sched_getaffinity(getppid(), sizeof cores, &cores) != 0) return allowed;
    return CPU_COUNT(&cores) > allowed ? CPU_COUNT(&cores) : allowed;
}

static int at_least_one(double cores)
{
    return cores < 1 ? 1 : (int)(cores + 1e-6);
}

static void share_cores(const share *own, const share *all, rw_rank_cores *out)
{
    out->own = at_least_one(part_of_cores(own, all, out->ranks, &out->allowed));
    out->available = cores_of_launcher(out->allowed);
    if (own->quota <= 0) return;
    out->quota = at_least_one(part_of_quota(own, all, out->ranks));
    if (out->quota < out->own) out->own = out->quota;
}

void rw_rank_cores_find(MPI_Comm world, rw_rank_cores *out)
{
    MPI_Comm host;
    share own;
    *out = (rw_rank_cores){.own = 1};
    MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &out->ranks);
    int known = own_share(&own);
    share *all = NULL;
    if (rw_alloc((size_t)out->ranks, sizeof own, "cores of ranks", &all) != RW_OK) known = 0;
    rw_clear_message();
    MPI_Allreduce(MPI_IN_PLACE, &known, 1, MPI_INT, MPI_MIN, host);
    if (known) {
        MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, host);
        share_cores(&own, all, out);
    } else {
        out->own = at_least_one((double)omp_get_num_procs() / out->ranks);
        out->allowed = out->available = omp_get_num_procs();
    }
    rw_free(&all);
    MPI_Comm_free(&host);
}
