#include "kernels/gemm.h"

#include <string.h>
#include <sys/mman.h>

extern void openblas_set_num_threads(int) __attribute__((weak));

void rw_gemm_one_thread(void)
{
    if (openblas_set_num_threads) openblas_set_num_threads(1);
}

extern char *openblas_get_corename(void) __attribute__((weak));

const char *rw_gemm_kernels(void)
{
    return openblas_get_corename ? openblas_get_corename() : "of another library";
}

extern char *openblas_get_config(void) __attribute__((weak));

bool rw_gemm_is_thread_safe(void)
{
    const char *built = openblas_get_config ? openblas_get_config() : "";
    return !strstr(built, "SINGLE_THREADED") || strstr(built, "USE_LOCKING");
}

/* Address space that one more thread's buffer takes: as large as OpenBLAS makes it on
 * processors with AVX2, and a page. */
enum { BUFFER_BYTES = (128 << 20) + 4096 };

static int taken; /* buffers that OpenBLAS has already */

void rw_gemm_has_multiplied(void)
{
    taken = 1;
}

static bool has_room(int threads)
{
    if (threads <= 0) return true;
    void *buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffer == MAP_FAILED) return false;
    bool room = has_room(threads - 1);
    munmap(buffer, BUFFER_BYTES);
    return room;
}

bool rw_gemm_has_room(int threads)
{
    return !openblas_get_config || has_room(threads - taken);
}
