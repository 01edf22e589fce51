#include <cblas.h>
#include <fftw3.h>
#include <hdf5.h>
#include <mpi.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zstd.h>

#include "kernels/gemm.h"
#include "kernels/gemm_check.h"
#include "storage/hdf5_access.h"
#include "cli/blas_kernels.h"
#include "cli/doctor.h"

/* OpenBLAS's own, absent from other libraries. */
char *openblas_get_config(void) __attribute__((weak));
int openblas_get_num_threads(void) __attribute__((weak));

rw_job_shape rw_doctor_job_shape(void)
{
    rw_job_shape shape = {0};
    MPI_Comm host;
    int rank_on_host = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &shape.ranks);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_rank(host, &rank_on_host);
    int first = rank_on_host == 0;
    MPI_Allreduce(&first, &shape.hosts, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Comm_free(&host);
    return shape;
}

void rw_doctor_mpi(rw_doctor *doctor, rw_job_shape shape)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length, level = MPI_THREAD_SINGLE;
    MPI_Get_library_version(version, &length);
    version[strcspn(version, ",\n")] = '\0';
    MPI_Query_thread(&level);
    rw_doctor_say(doctor, level < MPI_THREAD_FUNNELED ? RW_VERDICT_FAIL : RW_VERDICT_OK, "MPI",
                  "%s; %d rank%s on %d host%s", version, shape.ranks, shape.ranks == 1 ? "" : "s",
                  shape.hosts, shape.hosts == 1 ? "" : "s");
    if (level < MPI_THREAD_FUNNELED)
        rw_doctor_advise("it does not allow threads (MPI_THREAD_FUNNELED): use another MPI");
    else if (shape.ranks == 1)
        rw_doctor_advise("check a whole job with mpirun -n 4 ropewalk doctor");
}

static void say_blas(rw_doctor *doctor)
{
    if (!openblas_get_config || !openblas_get_num_threads) {
        rw_doctor_say(doctor, RW_VERDICT_WARN, "BLAS", "not OpenBLAS");
        rw_doctor_advise("make sure that it uses one thread (OMP, MKL, BLIS: *_NUM_THREADS=1)");
        return;
    }
    const char *core = rw_gemm_kernels(), *version = openblas_get_config();
    size_t name = strcspn(version, " "); /* "OpenBLAS 0.3.21 NO_LAPACKE ..." */
    if (version[name]) name += 1 + strcspn(version + name + 1, " ");
    int threads = openblas_get_num_threads();
    const char *wanted = rw_blas_kernels_wanted(), *wrong = rw_blas_kernels_wrong();
    bool slow = rw_blas_kernels_narrow(), right = rw_gemm_is_right();
    bool good = threads == 1 && !slow && !wrong[0] && rw_gemm_is_thread_safe();
    rw_doctor_say(doctor,
                  !right ? RW_VERDICT_FAIL
                  : good ? RW_VERDICT_OK
                         : RW_VERDICT_WARN,
                  "BLAS", "%.*s, kernels for %s (%s), %d thread%s, products %s", (int)name, version,
                  core, rw_blas_kernels_origin(), threads, threads == 1 ? "" : "s",
                  right ? "right" : "WRONG");
    if (!rw_gemm_is_thread_safe())
        rw_doctor_advise("it is built for one thread: install libopenblas0-pthread, or use "
                         "--threads 1");
    if (wrong[0])
        rw_doctor_advise("its kernels for %s compute wrong products here and are not used: "
                         "install a newer OpenBLAS",
                         wrong);
    else if (slow)
        rw_doctor_advise("these kernels need less than the processor has: unset "
                         "OPENBLAS_CORETYPE, or install an OpenBLAS with kernels for %s",
                         wanted);
    if (threads != 1) rw_doctor_advise("set OPENBLAS_NUM_THREADS=1: ropewalk threads over chunks");
}

/* With more threads than cores, threads that wait actively keep cores from threads with work. */
static void say_openmp(rw_doctor *doctor)
{
    const int threads = omp_get_max_threads();
    const char *setting = getenv("OMP_NUM_THREADS"), *policy = getenv("OMP_WAIT_POLICY");
    const bool bound = omp_get_proc_bind() != omp_proc_bind_false;
    const bool active = policy && strcasecmp(policy, "active") == 0;
    rw_doctor_say(doctor, active ? RW_VERDICT_WARN : RW_VERDICT_OK, "OpenMP",
                  "%d thread%s (OMP_NUM_THREADS %s), %s%s", threads, threads == 1 ? "" : "s",
                  setting ? setting : "not set",
                  bound ? "each bound to its place" : "free to move between the cores",
                  active ? "; OMP_WAIT_POLICY=active" : "");
    if (active)
        rw_doctor_advise("unset OMP_WAIT_POLICY: threads that wait would keep cores from others");
}

void rw_doctor_libraries(rw_doctor *doctor)
{
    unsigned major = 0, minor = 0, release = 0;
    say_blas(doctor);
    say_openmp(doctor);
    rw_doctor_say(doctor, RW_VERDICT_OK, "FFTW", "%s", fftwf_version);
    rw_hdf5_lock();
    H5get_libversion(&major, &minor, &release);
    rw_hdf5_unlock();
    bool other = major != H5_VERS_MAJOR || minor != H5_VERS_MINOR;
    rw_doctor_say(doctor, other ? RW_VERDICT_FAIL : RW_VERDICT_OK, "HDF5",
                  "%u.%u.%u (built with %s)", major, minor, release, H5_VERS_INFO);
    if (other) rw_doctor_advise("load the HDF5 that ropewalk was built with, or build again");
    rw_doctor_say(doctor, RW_VERDICT_OK, "zstd", "%s", ZSTD_versionString());
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char folders[4096], file[4352];
    snprintf(folders, sizeof folders, "%s", path ? path : "");
    for (char *rest, *folder = strtok_r(folders, ":", &rest); folder;
         folder = strtok_r(NULL, ":", &rest)) {
        snprintf(file, sizeof file, "%s/%s", folder, program);
        if (access(file, X_OK) == 0) return true;
    }
    return false;
}

void rw_doctor_slurm(rw_doctor *doctor)
{
    const char *job = getenv("SLURM_JOB_ID"), *tasks = getenv("SLURM_NTASKS");
    if (job)
        rw_doctor_say(doctor, RW_VERDICT_OK, "SLURM", "job %s, %s tasks", job,
                      tasks ? tasks : "unknown");
    else if (in_path("sbatch") && in_path("srun"))
        rw_doctor_say(doctor, RW_VERDICT_OK, "SLURM", "sbatch and srun found; not inside a job");
    else
        rw_doctor_say(doctor, RW_VERDICT_OK, "SLURM",
                      "no sbatch and srun here: train.sbatch needs them");
}
