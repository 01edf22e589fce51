/* Settings of libraries before MPI starts. The user's own settings stay. */
#ifndef RW_LAUNCH_H
#define RW_LAUNCH_H

/* Threads of libraries. If the ranks of this host are more than the cores or than a quota allows,
 * waiting OpenMP threads sleep instead of spinning (OMP_WAIT_POLICY=passive). If memory is limited
 * (ulimit -d, -v), OpenBLAS starts no threads of its own (OPENBLAS_NUM_THREADS=1): each thread
 * would try forever to get 128 MiB. The libraries read both settings when they are loaded, so the
 * program starts a second time; no other work may have been done. Not collective. */
void rw_launch_settle_threads(char **argv);

/* Settings of Open MPI: no daemon for a single program, no search for missing fast networks, and
 * waiting ranks give their core away. Before MPI_Init. */
void rw_launch_advise_mpi(void);

#endif
