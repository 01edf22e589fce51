#include "train/layout_notes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* The knowledge of a rank. */
typedef struct {
    char host[64], limit[48];
    int rank, wanted, threads, host_threads;
    rw_rank_cores cores;
    double load; /* load of the host, in cores, without this run; 0: hardly any */
} view;

/* The load of the last minute without the ranks of this run, if as many processes are ready to run
 * now. */
static double load_of_host(int ranks)
{
    double load = 0;
    int running = 0;
    FILE *file = fopen("/proc/loadavg", "r");
    if (!file) return 0;
    if (fscanf(file, "%lf %*f %*f %d", &load, &running) != 2) load = 0;
    fclose(file);
    double others = running - ranks;
    if (others < load) load = others;
    return load > 0 ? load : 0;
}

/* The setting that most likely limits the threads. */
static void name_limit(char out[48])
{
    static const char *const names[] = {"OMP_THREAD_LIMIT", "OMP_MAX_ACTIVE_LEVELS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value) snprintf(out, 48, "%s=%.12s", names[i], value);
        if (value) return;
    }
    snprintf(out, 48, "a limit of the system");
}

static view own_view(const rw_layout *layout)
{
    view own = {.rank = layout->rank,
                .wanted = layout->wanted_threads,
                .threads = layout->threads,
                .cores = layout->cores};
    MPI_Comm host;
    gethostname(own.host, sizeof own.host - 1);
    name_limit(own.limit);
    own.load = load_of_host(layout->cores.ranks);
    MPI_Comm_split_type(layout->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Allreduce(&own.threads, &own.host_threads, 1, MPI_INT, MPI_SUM, host);
    MPI_Comm_free(&host);
    return own;
}

/* The view of the rank with the largest `worth`; false if `worth` is 0 on all ranks. */
static bool worst(const rw_layout *layout, view *own, double worth)
{
    struct {
        double worth;
        int rank;
    } mine = {worth, layout->rank}, most;
    MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, layout->world);
    if (most.worth <= 0) return false;
    MPI_Bcast(own, sizeof *own, MPI_BYTE, most.rank, layout->world);
    return true;
}

static double cores_of_host(const view *v)
{
    double quota = (double)v->cores.quota * v->cores.ranks;
    return quota > 0 && quota < v->cores.allowed ? quota : v->cores.allowed;
}

void rw_layout_notes(const rw_layout *layout)
{
    const view own = own_view(layout);
    view v = own;
    if (worst(layout, &v, own.wanted - own.threads))
        rw_warn("OpenMP gives rank %d on %s %d of the %d requested threads (%s); the rank computes "
                "with %d",
                v.rank, v.host, v.threads, v.wanted, v.limit, v.threads);
    v = own;
    if (worst(layout, &v, own.cores.available - own.cores.allowed))
        rw_warn("the ranks on %s use %d of its %d cores, since the launcher bound them; to use "
                "all: mpirun --bind-to none, or srun -c N",
                v.host, v.cores.allowed, v.cores.available);
    v = own;
    if (worst(layout, &v, own.host_threads - cores_of_host(&own)))
        rw_warn("%d threads (%d ranks) share %.0f cores of %s: they wait for one another; use "
                "fewer ranks or --threads N",
                v.host_threads, v.cores.ranks, cores_of_host(&v), v.host);
    v = own;
    if (worst(layout, &v, own.load - 0.5 * own.cores.allowed))
        rw_warn("%s is busy with other work (load %.1f on %d cores): steps take longer", v.host,
                v.load, v.cores.allowed);
}
