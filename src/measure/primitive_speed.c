#include "measure/primitive_speed.h"

#include <math.h>

#include "measure/rounds.h"

static double largest(const rw_layout *layout, double value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, layout->world);
    return value;
}

/* Seconds of the slowest rank, all ranks having started together. */
static double time_run(const rw_primitive *primitive, rw_trial *trial)
{
    MPI_Barrier(trial->layout->world);
    double start = rw_seconds();
    primitive->run(trial);
    return largest(trial->layout, rw_seconds() - start);
}

static void measure(const rw_primitive *primitive, rw_trial *trial, int rounds,
                    rw_primitive_figures *out)
{
    rw_rounds seconds = {.count = 0};
    double before = rw_comm_count.bytes, predicted = (double)primitive->predict(trial);
    primitive->run(trial);
    double counted = rw_comm_count.bytes - before;
    out->payload = (double)(trial->reals * sizeof(real));
    out->predicted = largest(trial->layout, predicted);
    out->counted = largest(trial->layout, counted);
    out->exact = largest(trial->layout, fabs(counted - predicted)) == 0;
    for (int i = 0; i < rounds; i++) rw_rounds_add(&seconds, time_run(primitive, trial));
    out->seconds = rw_rounds_median(&seconds);
}

rw_status rw_primitive_measure(const rw_primitive *primitive, rw_trial *trial, int rounds,
                               rw_primitive_figures *out)
{
    rw_status status = rw_agree(trial->layout, primitive->open(trial));
    if (status == RW_OK) measure(primitive, trial, rounds, out);
    primitive->close(trial);
    return status;
}
