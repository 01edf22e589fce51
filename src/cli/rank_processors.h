/* Do all ranks run the same program, with the same arguments, on like processors? */
#ifndef RW_RANK_PROCESSORS_H
#define RW_RANK_PROCESSORS_H

#include "base/status.h"

/* Fails on all ranks if a rank was started with other arguments or from another build of the
 * program. Warns, on rank 0, if ranks run other instruction sets, BLAS kernels, libraries or
 * floating-point modes: results then depend on the layout. Messages name the hosts and the settings
 * to change. Collective over MPI_COMM_WORLD, before all other collectives. */
rw_status rw_rank_processors_compare(int argc, char **argv);

#endif
