#include "cli/rank_processors.h"

#include <gnu/libc-version.h>
#include <inttypes.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/float_mode.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/blas_kernels.h"
#include "cli/program.h"
#include "kernels/gemm.h"
#include "mpi/layout.h"
#include "mpi/rank_compare.h"
#include "storage/content_hash.h"

/* ---- Arguments and build --------------------------------------------------------- */

/* An argument a line; argv[0] may differ between hosts: it is a path. */
static rw_status list_arguments(int argc, char **argv, char **out)
{
    size_t bytes = 1, used = 0;
    for (int i = 1; i < argc; i++) bytes += strlen(argv[i]) + 1;
    RW_TRY(rw_alloc(bytes, 1, "arguments", out));
    for (int i = 1; i < argc; i++)
        used += (size_t)snprintf(*out + used, bytes - used, "%s\n", argv[i]);
    return RW_OK;
}

static rw_status compare_arguments(int argc, char **argv)
{
    char *text = NULL;
    RW_TRY(rw_agree_comm(MPI_COMM_WORLD, list_arguments(argc, argv, &text)));
    rw_status status = rw_rank_compare(MPI_COMM_WORLD, "command line", text,
                                       "start all ranks with the same command");
    rw_free(&text);
    return status;
}

/* The version, and a hash of the program's file; 0 if the file cannot be read. */
static void describe_build(char text[64])
{
    enum { BYTES = 1 << 16 };
    static unsigned char piece[BYTES];
    rw_hasher hash;
    uint64_t value = 0;
    FILE *file = fopen("/proc/self/exe", "rb");
    rw_hasher_reset(&hash);
    if (file) {
        for (size_t got; (got = fread(piece, 1, BYTES, file)) > 0;)
            rw_hasher_add(&hash, piece, got);
        value = rw_hasher_value(&hash);
        fclose(file);
    }
    snprintf(text, 64, "%s, build %016" PRIx64, PACKAGE_VERSION, value);
}

static rw_status compare_builds(void)
{
    char text[64];
    describe_build(text);
    return rw_rank_compare(MPI_COMM_WORLD, "program (ropewalk)", text,
                           "install one build on all hosts (for hosts with other processors: "
                           "./configure --with-march=dispatch)");
}

/* ---- Processors -------------------------------------------------------------------- */

/* The processor and libraries of a rank. */
typedef struct {
    char set[24], blas[24], host[64], libraries[96];
    bool flushes;
} kind;

static kind own_kind(void)
{
    extern char *openblas_get_config(void) __attribute__((weak));
    kind own = {.set = ""};
    const char *only = getenv("DNNL_MAX_CPU_ISA");
    snprintf(own.set, sizeof own.set, "%s", rw_program_self()->name);
    snprintf(own.blas, sizeof own.blas, "%s", rw_gemm_kernels());
    snprintf(own.libraries, sizeof own.libraries, "%.24s, glibc %.16s%s%.24s",
             openblas_get_config ? openblas_get_config() : "another BLAS", gnu_get_libc_version(),
             only ? ", DNNL_MAX_CPU_ISA=" : "", only ? only : "");
    gethostname(own.host, sizeof own.host - 1);
    own.flushes = rw_float_mode_flushes();
    return own;
}

static bool same(const kind *a, const kind *b)
{
    return strcmp(a->set, b->set) == 0 && strcmp(a->blas, b->blas) == 0 &&
           strcmp(a->libraries, b->libraries) == 0 && a->flushes == b->flushes;
}

/* The narrowest set among the ranks: sets are in order. */
static const char *narrowest(const kind *kinds, int ranks)
{
    for (const rw_program *const *it = rw_program_registry; *it; it++)
        for (int r = 0; r < ranks; r++)
            if (strcmp(kinds[r].set, (*it)->name) == 0) return (*it)->name;
    return kinds[0].set;
}

static void warn_of_libraries(const kind *first, const kind *other, int different)
{
    rw_warn("ranks compute with different libraries, so the last digits depend on the layout: %s "
            "on %s, %s on %s, %d ranks unlike rank 0; install the same versions on all hosts",
            first->libraries, first->host, other->libraries, other->host, different);
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
    if (strcmp(kinds[0].libraries, kinds[other].libraries) != 0)
        warn_of_libraries(&kinds[0], &kinds[other], different);
    const char *set = narrowest(kinds, ranks);
    if (strcmp(kinds[0].set, kinds[other].set) || strcmp(kinds[0].blas, kinds[other].blas))
        rw_warn("ranks compute with different instructions, so the last digits depend on the "
                "layout: %s (BLAS %s) on %s, %s (BLAS %s) on %s, %d of %d ranks unlike rank 0; set "
                "ROPEWALK_ISA=%s for all of them (mpirun -x ROPEWALK_ISA=%s, or export it before "
                "srun), and unset OPENBLAS_CORETYPE",
                kinds[0].set, kinds[0].blas, kinds[0].host, kinds[other].set, kinds[other].blas,
                kinds[other].host, different, ranks, set, set);
    if (kinds[0].flushes != kinds[other].flushes)
        rw_warn("ranks treat subnormal numbers differently (%s flushes them: %s), so the "
                "last digits depend on the layout; use processors of one kind",
                kinds[0].host, kinds[0].flushes ? "yes" : "no");
}

static void compare_kinds(int rank, int ranks)
{
    kind own = own_kind(), *kinds = NULL;
    bool fits = rank != 0 || rw_alloc((size_t)ranks, sizeof own, "names", &kinds) == RW_OK;
    if (!fits) rw_clear_message(); /* a lost warning; all ranks must go on alike */
    MPI_Bcast(&fits, 1, MPI_C_BOOL, 0, MPI_COMM_WORLD);
    if (!fits) return;
    MPI_Gather(&own, sizeof own, MPI_BYTE, kinds, sizeof own, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (rank == 0) warn_if_different(kinds, ranks);
    rw_free(&kinds);
}

static void warn_of_wrong_kernels(void)
{
    if (rw_blas_kernels_wrong()[0])
        rw_warn("BLAS computes wrong products on this processor with the kernels for %s; BLAS uses "
                "the kernels for %s instead; a newer OpenBLAS may be faster",
                rw_blas_kernels_wrong(), rw_gemm_kernels());
}

rw_status rw_rank_processors_compare(int argc, char **argv)
{
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (rank == 0) warn_of_wrong_kernels();
    if (ranks == 1) return RW_OK;
    RW_TRY(compare_arguments(argc, argv));
    RW_TRY(compare_builds());
    compare_kinds(rank, ranks);
    return RW_OK;
}
