/* The program of an instruction set: starts MPI, finds the command, runs it on every rank, and
 * turns the agreed status into a message and the exit code. */
#include "cli/program.h"

#include <mpi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/float_mode.h"
#include "base/log.h"
#include "cli/blas_kernels.h"
#include "cli/command.h"
#include "cli/launch.h"
#include "cli/rank_processors.h"
#include "kernels/gemm.h"
#include "mpi/layout.h"

/* RW_SET and RW_SET_NAME come from the build (sets.mk): the name of the set in identifiers, and the
 * name for people. */
#define JOINED_(a, b) a##b
#define JOINED(a, b)  JOINED_(a, b)
#define RW_PROGRAM    JOINED(rw_program_, RW_SET)
#define TEXT_(tokens) #tokens
#define TEXT(tokens)  TEXT_(tokens)

#if defined(__AVX512F__)
#define VECTORS   "AVX-512"
#define CORE_TYPE "SkylakeX"
#elif defined(__AVX2__)
#define VECTORS   "AVX2"
#define CORE_TYPE "Haswell"
#elif defined(__AVX__)
#define VECTORS   "AVX"
#define CORE_TYPE "Sandybridge"
#elif defined(__x86_64__)
#define VECTORS   "SSE2"
#define CORE_TYPE "Prescott"
#else
#define VECTORS   "the compiler's vectors"
#define CORE_TYPE NULL
#endif

static const rw_command *find(const char *name)
{
    for (const rw_command *const *it = rw_command_registry; *it; it++)
        if (strcmp((*it)->name, name) == 0) return *it;
    return NULL;
}

static rw_status refuse_unknown(const char *name)
{
    enum { MOST = 64 };
    const char *names[MOST];
    char advice[RW_NAME_ADVICE];
    int count = 0;
    for (; count < MOST && rw_command_registry[count]; count++)
        names[count] = rw_command_registry[count]->name;
    return rw_fail(RW_USAGE, "there is no command %.60s%s", name,
                   rw_name_advice(name, "commands", names, count, advice));
}

static void print_help(void)
{
    puts("Usage: ropewalk COMMAND [OPTION...]\n"
         "Trains long-context sequence models on CPU clusters: the same bits on any layout.\n\n"
         "Commands:");
    for (const rw_command *const *it = rw_command_registry; *it; it++)
        printf("  %-12s %s\n", (*it)->name, (*it)->summary);
    puts("\n"
         "  ropewalk COMMAND --help   the options of a command\n"
         "  ropewalk --version        the version\n\n"
         "Runs alone, or on many ranks: mpirun -n 4 ropewalk train CONFIG.yaml, srun ropewalk ...\n"
         "ROPEWALK_ISA=NAME in the environment: the instruction set, of those that --version "
         "lists.\n"
         "Exit codes: 0 done, 1 error, 2 usage, 75 stopped at a signal after a checkpoint.");
}

static void print_version(void)
{
    const rw_program *self = rw_program_self();
    printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
    printf("instruction set: %s (%s); built in:", self->name, self->vectors);
    for (const rw_program *const *it = rw_program_registry; *it; it++) printf(" %s", (*it)->name);
    printf("\nBLAS kernels: %s (%s)\n", rw_gemm_kernels(), rw_blas_kernels_origin());
}

/* Runs the command of the arguments. *name: the command's name for messages. */
static rw_status run(int argc, char **argv, int rank, char *name, size_t size)
{
    if (argc < 2) return rw_fail(RW_USAGE, "no command given; ropewalk --help lists them");
    const char *word = argv[1];
    bool help = strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0 || strcmp(word, "-h") == 0;
    if (help || strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        if (rank == 0 && help) print_help();
        if (rank == 0 && !help) print_version();
        return RW_OK;
    }
    const rw_command *command = find(word);
    if (!command) return refuse_unknown(word);
    snprintf(name, size, "ropewalk %s", command->name);
    argv[1] = name;
    return command->run(argc - 1, argv + 1);
}

static rw_status finish_output(rw_status status)
{
    int failed = fflush(stdout) != 0;
    failed = ferror(stdout) || failed;
    if (failed && status == RW_OK)
        return rw_fail(RW_ERROR, "cannot write all of the output; is the disk full?");
    return status;
}

/* Usage errors already explained by argp leave no message. */
static void report(rw_status status, const char *name)
{
    const char *message = rw_message();
    if (status == RW_ERROR)
        rw_info("ropewalk: error: %s", message[0] ? message : "failed without saying why");
    else if (status != RW_OK && message[0])
        rw_info("%s: %s", name, message);
}

static int start(int argc, char **argv)
{
    int provided, rank;
    char name[64] = "ropewalk";
    const char *asked = getenv("ROPEWALK_ISA");
    rw_launch_settle_threads(argv);
    rw_gemm_one_thread();
    rw_float_mode_flush(); /* threads inherit the mode, also threads of MPI */
    rw_status status =
        rw_blas_kernels_settle(asked && asked[0] ? rw_program_self()->blas : NULL, argv);
    rw_launch_advise_mpi();
    /* A file at its size limit (ulimit -f) is a failed write, like a write to a full disk. */
    signal(SIGXFSZ, SIG_IGN);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    rw_log_speak(rank == 0);
    status = rw_agree_comm(MPI_COMM_WORLD, status);
    if (status == RW_OK) status = rw_rank_processors_compare(argc, argv);
    if (status == RW_OK) status = finish_output(run(argc, argv, rank, name, sizeof name));
    status = rw_agree_comm(MPI_COMM_WORLD, status);
    if (rank == 0) report(status, name);
    rw_log_close();
    MPI_Finalize();
    return status;
}

static const char *const uses[] = {
#define USES(name, macro) TEXT(macro),
    RW_INSTRUCTIONS(USES) NULL};

/* The only name that a build of several sets exports from each set (sets.mk). */
__attribute__((visibility("default"))) extern const rw_program RW_PROGRAM;
const rw_program RW_PROGRAM = {
    .name = TEXT(RW_SET_NAME),
    .vectors = VECTORS,
    .blas = CORE_TYPE,
    .uses = uses,
    .run = start,
};

const rw_program *rw_program_self(void)
{
    return &RW_PROGRAM;
}
