#include "cli/blas_kernels.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "kernels/gemm.h"
#include "kernels/gemm_check.h"

/* Environment variables from a start to the next start: the requested kernels, and the kernels that
 * were wrong. */
#define TOLD     "OPENBLAS_CORETYPE"
#define SETTLING "ROPEWALK_BLAS_WRONG"

/* ---- Features of the processor, and needs of kernels ------------------------ */

typedef struct {
    const char *core;    /* as OPENBLAS_CORETYPE names the kernels */
    const char *vectors; /* for people */
    const char *same;    /* other kernels of this width, as " NAME NAME " */
} width;

/* From the narrowest to the widest. */
static const width widths[] = {
    {"Prescott", "SSE3", " "},
    {"Sandybridge", "AVX", " Bulldozer Piledriver Steamroller "},
    {"Haswell", "AVX2", " Zen Excavator "},
    {"SkylakeX", "AVX-512", " Cooperlake SapphireRapids "},
};

static int width_of_processor(void)
{
#ifdef __x86_64__
    bool fma = __builtin_cpu_supports("fma");
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512cd");
    if (wide && fma) return 3;
    if (__builtin_cpu_supports("avx2") && fma) return 2;
    return __builtin_cpu_supports("avx") ? 1 : 0;
#else
    return -1;
#endif
}

static int width_of(const char *core)
{
    int last = sizeof widths / sizeof *widths - 1;
    for (int i = last; i > 0; i--) {
        char name[64];
        snprintf(name, sizeof name, " %s ", core);
        if (strcasecmp(core, widths[i].core) == 0 || strcasestr(widths[i].same, name)) return i;
    }
    return 0;
}

const char *rw_blas_kernels_wanted(void)
{
    int widest = width_of_processor();
    return widest < 0 ? NULL : widths[widest].core;
}

bool rw_blas_kernels_narrow(void)
{
    return width_of(rw_gemm_kernels()) < width_of_processor();
}

/* ---- The check ----------------------------------------------------------------- */

static sigjmp_buf crashed;

static void jump(int signal)
{
    (void)signal;
    siglongjmp(crashed, 1);
}

enum { SIGNALS = 4 };
static const int caught[SIGNALS] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE};

/* Kernels for another processor may crash as well as compute wrong results. */
static bool computes_right(void)
{
    struct sigaction action = {.sa_handler = jump}, before[SIGNALS];
    volatile bool right = false;
    for (int i = 0; i < SIGNALS; i++) sigaction(caught[i], &action, &before[i]);
    if (sigsetjmp(crashed, 1) == 0) right = rw_gemm_is_right();
    for (int i = 0; i < SIGNALS; i++) sigaction(caught[i], &before[i], NULL);
    return right;
}

/* ---- The choice ---------------------------------------------------------------- */

static char wrong[160], origin[96];

const char *rw_blas_kernels_origin(void)
{
    return origin;
}

const char *rw_blas_kernels_wrong(void)
{
    return wrong;
}

/* Does this BLAS let the program choose its kernels? */
static bool can_be_told(void)
{
    extern char *openblas_get_config(void) __attribute__((weak));
    return openblas_get_config && strstr(openblas_get_config(), "DYNAMIC_ARCH");
}

/* Starts the program a second time with other kernels. Returns only if that is impossible. */
static rw_status start_again(const char *core, char **argv)
{
    setenv(TOLD, core, 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 0); /* OpenBLAS would start threads without work */
    setenv(SETTLING, wrong, 1);
    execv("/proc/self/exe", argv);
    return rw_fail(RW_ERROR,
                   "cannot start again from /proc/self/exe (%s) for BLAS to use its kernels for "
                   "%s; set " TOLD "=%s yourself",
                   strerror(errno), core, core);
}

static void add_wrong(const char *core)
{
    size_t used = strlen(wrong);
    snprintf(wrong + used, sizeof wrong - used, "%s%s", used ? ", " : "", core);
}

/* If kernels are wrong: the next narrower kernels. */
static rw_status avoid_wrong(char **argv)
{
    const char *now = rw_gemm_kernels();
    int narrower = width_of(now) - 1;
    bool again = strstr(wrong, now) != NULL; /* BLAS does not do as told */
    if (!again) add_wrong(now);
    if (!again && narrower >= 0 && can_be_told()) return start_again(widths[narrower].core, argv);
    return rw_fail(RW_ERROR,
                   "BLAS computes wrong products on this processor (kernels: %s); install another "
                   "version of OpenBLAS",
                   wrong);
}

/* The kernels to request from BLAS; NULL: the choice of BLAS is good. */
static const char *better(const char *core)
{
    int now = width_of(rw_gemm_kernels()), widest = width_of_processor();
    if (!can_be_told() || widest < 0) return NULL;
    if (core) return strcasecmp(core, rw_gemm_kernels()) == 0 ? NULL : core;
    return now < widest ? widths[widest].core : NULL;
}

static void note_origin(bool ours, const char *told)
{
    if (ours)
        snprintf(origin, sizeof origin, "chosen by ropewalk, for %s",
                 widths[width_of(rw_gemm_kernels())].vectors);
    else if (told && told[0] && strcasecmp(told, rw_gemm_kernels()) != 0)
        snprintf(origin, sizeof origin, "OpenBLAS does not know " TOLD "=%.32s", told);
    else if (told && told[0])
        snprintf(origin, sizeof origin, "set by " TOLD);
    else
        snprintf(origin, sizeof origin, "chosen by OpenBLAS");
}

rw_status rw_blas_kernels_settle(const char *core, char **argv)
{
    const char *told = getenv(TOLD), *before = getenv(SETTLING);
    bool ours = before != NULL;
    const char *tell = told && told[0] ? NULL : better(core);
    if (before) snprintf(wrong, sizeof wrong, "%s", before);
    if (!ours && tell) {
        rw_status status = start_again(tell, argv);
        if (core) return status;
        rw_clear_message(); /* slower, and told by doctor */
    }
    if (!computes_right()) return avoid_wrong(argv);
    note_origin(ours, told);
    if (!ours) return RW_OK;
    /* Child processes choose for themselves. */
    unsetenv(TOLD);
    unsetenv(SETTLING);
    return RW_OK;
}
