#include <mpi.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/doctor.h"

static const struct argp doctor_argp = {
    .doc = "Checks the machine: processor, memory, folder, limits, libraries, speed. One line a "
           "finding, with a verdict (ok, warn, FAIL) and what to do. Exit code 1 if something "
           "makes training impossible. Under mpirun or srun it looks at the host of rank 0.",
};

static rw_status examine(rw_job_shape shape)
{
    rw_doctor doctor = {0};
    rw_doctor_processor(&doctor);
    rw_doctor_cores(&doctor);
    rw_doctor_memory(&doctor);
    rw_doctor_folder(&doctor);
    rw_doctor_limits(&doctor);
    rw_doctor_mpi(&doctor, shape);
    rw_doctor_libraries(&doctor);
    rw_doctor_slurm(&doctor);
    rw_doctor_products(&doctor);
    rw_doctor_bf16(&doctor);
    rw_doctor_bandwidth(&doctor);
    printf("%d ok, %d warn, %d FAIL\n", doctor.count[RW_VERDICT_OK], doctor.count[RW_VERDICT_WARN],
           doctor.count[RW_VERDICT_FAIL]);
    if (doctor.count[RW_VERDICT_FAIL] == 0) return RW_OK;
    return rw_fail(RW_ERROR, "training is impossible here: see the %s marked FAIL",
                   doctor.count[RW_VERDICT_FAIL] == 1 ? "line" : "lines");
}

static rw_status run(int argc, char **argv)
{
    int stop = 0, rank = 0;
    RW_TRY(rw_command_parse(&doctor_argp, argc, argv, NULL, &stop));
    if (stop) return RW_OK;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    rw_job_shape shape = rw_doctor_job_shape();
    return rank == 0 ? examine(shape) : RW_OK;
}

const rw_command rw_command_doctor = {
    .name = "doctor",
    .summary = "Check the machine and say what to do",
    .run = run,
};
