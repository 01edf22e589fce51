#include "cli/launch.h"

#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cpu_quota.h"

/* ---- OpenMP ------------------------------------------------------------------- */

/* As the launcher tells; SLURM: "4" or "4(x2)". */
static int ranks_of_host(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE",
                                        "MPI_LOCALNRANKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && atoi(value) > 0) return atoi(value);
    }
    return 1;
}

/* Cores of all ranks of this host together: the cores of the launcher, which is not bound to the
 * cores of a rank. */
static double cores_of_launcher(void)
{
    cpu_set_t cores;
    char group[RW_CPU_GROUP_SIZE];
    double quota = rw_cpu_quota(group);
    if (sched_getaffinity(getppid(), sizeof cores, &cores) != 0) return CPU_SETSIZE;
    return quota > 0 && quota < CPU_COUNT(&cores) ? quota : CPU_COUNT(&cores);
}

/* Does the host have more ranks than cores, so that spinning ranks keep others from work? */
static bool cores_are_shared(void)
{
    int ranks = ranks_of_host();
    return ranks > 1 && ranks > cores_of_launcher();
}

static bool memory_is_limited(void)
{
    static const int kinds[] = {RLIMIT_DATA, RLIMIT_AS};
    struct rlimit limit;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (getrlimit((__rlimit_resource_t)kinds[i], &limit) == 0 &&
            limit.rlim_cur != RLIM_INFINITY)
            return true;
    return false;
}

void rw_launch_settle_threads(char **argv)
{
    bool again = false;
    if (!getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT") && cores_are_shared())
        again = setenv("OMP_WAIT_POLICY", "passive", 1) == 0;
    if (!getenv("OPENBLAS_NUM_THREADS") && memory_is_limited())
        again = setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0;
    if (again) execv("/proc/self/exe", argv);
}

/* ---- Open MPI ----------------------------------------------------------------- */

/* Is there a file in the folder? */
static bool has_entries(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry = NULL;
    bool found = false;
    while (entries && !found && (entry = readdir(entries))) found = entry->d_name[0] != '.';
    if (entries) closedir(entries);
    return found;
}

/* Started without mpirun or srun, which tell ranks their numbers. */
static bool is_alone(void)
{
    return !getenv("PMIX_NAMESPACE") && !getenv("PMI_RANK") && !getenv("PMI_FD");
}

void rw_launch_advise_mpi(void)
{
    /* A single program would start its own daemon, which needs ssh and time. */
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    /* All single programs would use the same folder of /tmp, and fail when one of them removes the
     * folder while another starts. */
    if (is_alone()) setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
    /* Waiting ranks give their core to others with work: ranks, threads, other users. */
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    /* Open MPI loads the libraries of all fast networks before it finds none of them, which takes
     * longer than the rest of the start (docs/decisions/0019-processors.md). */
    bool fast_network = has_entries("/sys/class/infiniband") || has_entries("/sys/class/cxi");
    if ((is_alone() || !fast_network) && !getenv("OMPI_MCA_mtl")) setenv("OMPI_MCA_pml", "ob1", 0);
}
