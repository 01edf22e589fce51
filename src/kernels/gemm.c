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

/* Address space of a buffer of a thread: as large as OpenBLAS makes it on processors with AVX2,
 * plus the overhead of malloc. */
enum { BUFFER_BYTES = (128 << 20) + (2 << 20), MOST_BUFFERS = 64 };

static bool has_room(int buffers)
{
    if (buffers <= 0) return true;
    void *buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffer == MAP_FAILED) return false;
    bool room = has_room(buffers - 1);
    munmap(buffer, BUFFER_BYTES);
    return room;
}

extern void *blas_memory_alloc(int) __attribute__((weak));
extern void blas_memory_free(void *) __attribute__((weak));

bool rw_gemm_take_buffers(int threads)
{
    static int taken;
    void *buffers[MOST_BUFFERS];
    if (threads > MOST_BUFFERS) threads = MOST_BUFFERS;
    if (!openblas_get_config || threads <= taken) return true;
    if (!has_room(threads - taken)) return false;
    taken = threads;
    if (!blas_memory_alloc || !blas_memory_free) return true;
    for (int i = 0; i < threads; i++) buffers[i] = blas_memory_alloc(0);
    for (int i = 0; i < threads; i++) blas_memory_free(buffers[i]);
    return true;
}
