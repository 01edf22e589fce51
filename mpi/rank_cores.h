/* The cores that a rank may use, and its share: ranks of a host that may use the same cores share
 * those cores, and ranks in a control group share its quota. */
#ifndef RW_RANK_CORES_H
#define RW_RANK_CORES_H

#include <mpi.h>

typedef struct {
    int own;       /* cores for this rank's threads, at least 1 */
    int ranks;     /* of this host */
    int allowed;   /* cores of the host that any rank of the host may use */
    int available; /* cores that the launcher may use: more than `allowed` if the launcher
                      bound the ranks to a part of its cores */
    int quota;     /* cores that a quota of a control group leaves this rank; 0: no quota */
} rw_rank_cores;

/* Collective over `world`. */
void rw_rank_cores_find(MPI_Comm world, rw_rank_cores *out);

#endif
