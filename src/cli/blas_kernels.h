/* Which of its kernels BLAS computes with.
 *
 * OpenBLAS holds kernels for many processors and chooses by the name of the processor, when
 * it is loaded. It does not know processors newer than itself and takes the slowest kernels
 * for these, without a word. So the program looks at what the processor can do, and starts
 * again with OPENBLAS_CORETYPE set where OpenBLAS chose less. Kernels that compute wrong
 * products are not used (docs/decisions/0027-blas-kernels.md). */
#ifndef RW_BLAS_KERNELS_H
#define RW_BLAS_KERNELS_H

#include <stdbool.h>

#include "base/status.h"

/* Settles the choice; before MPI starts. May start the program again (execv), so nothing may
 * have been done yet. `core`: the kernels to take, since a user chose an instruction set
 * (ROPEWALK_ISA); NULL: the widest that the processor has. What OPENBLAS_CORETYPE says goes
 * before both. RW_ERROR if no kernels compute right products. Not collective. */
rw_status rw_blas_kernels_settle(const char *core, char **argv);

/* How the kernels were chosen, for people: "chosen by OpenBLAS", "chosen by ropewalk, for
 * AVX-512", "set by OPENBLAS_CORETYPE". */
const char *rw_blas_kernels_origin(void);

/* The kernels that computed wrong products here and are not used, as a list "A, B"; "": none. */
const char *rw_blas_kernels_wrong(void);

/* Do the kernels in use need less than the processor has, so that they are slow? */
bool rw_blas_kernels_narrow(void);

/* The kernels that suit what this processor can do, as OPENBLAS_CORETYPE names them; NULL
 * on processors other than x86-64. */
const char *rw_blas_kernels_wanted(void);

#endif
