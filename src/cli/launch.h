/* What the libraries are told before MPI starts. What the user has set stays. */
#ifndef RW_LAUNCH_H
#define RW_LAUNCH_H

/* Where the ranks of this host are more than the cores, or than what a quota allows, waiting
 * OpenMP threads sleep instead of spinning (OMP_WAIT_POLICY=passive). OpenMP reads this when
 * it is loaded, so the program starts again; nothing may have been done yet. Not collective. */
void rw_launch_wait_gently(char **argv);

/* Settings of Open MPI: no daemon for a program that runs alone, no search for fast networks
 * where there are none, and ranks that wait give their core away. Before MPI_Init. */
void rw_launch_advise_mpi(void);

#endif
