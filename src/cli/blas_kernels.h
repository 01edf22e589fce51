/* The kernels of BLAS. OpenBLAS holds kernels for many processors and chooses by the name of the
 * processor when it is loaded. OpenBLAS does not know processors newer than itself, and silently
 * takes its slowest kernels for them. So the program checks the instructions of the processor, and
 * starts a second time with OPENBLAS_CORETYPE set if OpenBLAS chose narrower kernels. Kernels that
 * compute wrong products are not used (docs/decisions/0027-blas-kernels.md). */
#ifndef RW_BLAS_KERNELS_H
#define RW_BLAS_KERNELS_H

#include <stdbool.h>

#include "base/status.h"

/* Makes the choice; before MPI starts. May start the program a second time (execv), so no other
 * work may have been done. `core`: the kernels for an instruction set that the user chose
 * (ROPEWALK_ISA); NULL: the widest kernels for the processor. OPENBLAS_CORETYPE in the environment
 * goes before both. RW_ERROR if no kernels compute right products. Not collective. */
rw_status rw_blas_kernels_settle(const char *core, char **argv);

/* How the kernels were chosen, for people: "chosen by OpenBLAS", "chosen by ropewalk, for
 * AVX-512", "set by OPENBLAS_CORETYPE". */
const char *rw_blas_kernels_origin(void);

/* The kernels that computed wrong products and are not used, as a list "A, B"; "": none. */
const char *rw_blas_kernels_wrong(void);

/* Are the kernels in use narrower than the processor allows, and so slow? */
bool rw_blas_kernels_narrow(void);

/* The kernels for the instructions of this processor, as a value of OPENBLAS_CORETYPE; NULL on
 * processors other than x86-64. */
const char *rw_blas_kernels_wanted(void);

#endif
