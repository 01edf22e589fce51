/* MPI test programs: every rank runs the same tests, rank 0 reports them. */
#ifndef MPI_TESTING_H
#define MPI_TESTING_H

#include <stdbool.h>

/* MPI_Init; ranks other than 0 fall silent. */
void mpi_test_begin(int *argc, char ***argv);
/* Collective over MPI_COMM_WORLD: fails the running test on every rank unless
 * `good` on every rank, so that none waits for another that has left. */
void mpi_test_all(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
