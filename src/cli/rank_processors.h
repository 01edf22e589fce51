/* Do all ranks compute with the same instructions? */
#ifndef RW_RANK_PROCESSORS_H
#define RW_RANK_PROCESSORS_H

/* Warns, on rank 0, if ranks run other instruction sets or BLAS kernels than it
 * does: results then depend on the layout. Says which hosts, and what to set.
 * Collective over MPI_COMM_WORLD. */
void rw_rank_processors_compare(void);

#endif
