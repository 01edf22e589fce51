/* Checks that all ranks have the same arguments, program, configuration and
 * data. A rank that differs (a stale copy on one node) would compute other results, or hang or
 * crash the job, because collective calls would not match. */
#ifndef RW_RANK_COMPARE_H
#define RW_RANK_COMPARE_H

#include <mpi.h>

#include "base/status.h"

/* Compares a text of this rank with that of rank 0. Collective over `comm`; every rank gets
 * the same status. If a rank differs: RW_ERROR, and a message with the first differing
 * rank, its host, and the first differing line, with the YAML keys around the line:
 *   rank 3 (on node07) differs from rank 0 (on node01): another configuration: model: width: 128;
 *   rank 0 has width: 256; ADVICE
 * what: "configuration"; text: lines; advice: advice to the user. */
rw_status rw_rank_compare(MPI_Comm comm, const char *what, const char *text, const char *advice);

#endif
