#include "cli/rank_processors.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "cli/program.h"
#include "kernels/gemm.h"

/* What one rank computes with. */
typedef struct {
    char set[24], blas[24], host[64];
} kind;

static kind own_kind(void)
{
    kind own = {.set = ""};
    snprintf(own.set, sizeof own.set, "%s", rw_program_self()->name);
    snprintf(own.blas, sizeof own.blas, "%s", rw_gemm_kernels());
    gethostname(own.host, sizeof own.host - 1);
    return own;
}

static bool same(const kind *a, const kind *b)
{
    return strcmp(a->set, b->set) == 0 && strcmp(a->blas, b->blas) == 0;
}

/* The narrowest set among the ranks: they come in order. */
static const char *narrowest(const kind *kinds, int ranks)
{
    for (const rw_program *const *it = rw_program_registry; *it; it++)
        for (int r = 0; r < ranks; r++)
            if (strcmp(kinds[r].set, (*it)->name) == 0) return (*it)->name;
    return kinds[0].set;
}

static void warn_if_different(const kind *kinds, int ranks)
{
    int other = 0, different = 0;
    for (int r = ranks - 1; r > 0; r--) {
        if (same(&kinds[r], &kinds[0])) continue;
        other = r;
        different++;
    }
    if (!different) return;
    const char *set = narrowest(kinds, ranks);
    rw_warn("ranks compute with different instructions, so the last digits depend on the layout: "
            "%s (BLAS %s) on %s, %s (BLAS %s) on %s, %d of %d ranks unlike rank 0; set "
            "ROPEWALK_ISA=%s for all of them (mpirun -x ROPEWALK_ISA=%s, or export it before "
            "srun), and unset OPENBLAS_CORETYPE",
            kinds[0].set, kinds[0].blas, kinds[0].host, kinds[other].set, kinds[other].blas,
            kinds[other].host, different, ranks, set, set);
}

void rw_rank_processors_compare(void)
{
    int rank, ranks;
    kind own = own_kind(), *kinds = NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks == 1) return;
    bool fits = rank != 0 || rw_alloc((size_t)ranks, sizeof own, "names", &kinds) == RW_OK;
    if (!fits) rw_clear_message(); /* a lost warning; all ranks must go on alike */
    MPI_Bcast(&fits, 1, MPI_C_BOOL, 0, MPI_COMM_WORLD);
    if (!fits) return;
    MPI_Gather(&own, sizeof own, MPI_BYTE, kinds, sizeof own, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rank == 0) warn_if_different(kinds, ranks);
    rw_free(&kinds);
}
