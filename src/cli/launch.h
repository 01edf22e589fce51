/* What the libraries are told before MPI starts. What the user has set stays. */
#ifndef RW_LAUNCH_H
#define RW_LAUNCH_H

/* Threads of libraries. Where the ranks of this host are more than the cores, or than what a
 * quota allows, waiting OpenMP threads sleep instead of spinning (OMP_WAIT_POLICY=passive).
 * Where memory is limited (ulimit -d, -v), OpenBLAS starts no threads of its own: each tries
 * forever to get 128 MiB (OPENBLAS_NUM_THREADS=1). The libraries read both when they are
 * loaded, so the program starts again; nothing may have been done yet. Not collective. */
void rw_launch_settle_threads(char **argv);

/* Settings of Open MPI: no daemon for a program that runs alone, no search for fast networks
 * where there are none, and ranks that wait give their core away. Before MPI_Init. */
void rw_launch_advise_mpi(void);

#endif
