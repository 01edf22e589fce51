#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine_memory.h"

/* In front of each block, which is aligned to RW_ALIGNMENT and padded to it:
 * | ... header | block ... | padding | */
typedef struct {
    size_t bytes; /* of the block */
    void *base;   /* the result of calloc */
} header;

static atomic_size_t in_use, peak, allocations, limit;
static atomic_long fail_after;

/* calloc takes large blocks from the kernel, where they are zero already, and leaves their pages to
 * the first thread that writes to them: so pages are near their thread, and unused pages cost
 * nothing (docs/decisions/0019-processors.md). */
static void *take(size_t bytes)
{
    long left = atomic_load(&fail_after);
    if (left > 0 && atomic_fetch_sub(&fail_after, 1) == 1) return NULL;
    if (bytes > SIZE_MAX - 3 * RW_ALIGNMENT) return NULL;
    size_t most_bytes = rw_memory_limit(), used = atomic_load(&in_use);
    if (used > most_bytes || bytes > most_bytes - used) return NULL;
    size_t padded = (bytes + RW_ALIGNMENT - 1) / RW_ALIGNMENT * RW_ALIGNMENT;
    char *base = calloc(1, padded + 2 * RW_ALIGNMENT);
    if (!base) return NULL;
    char *block = base + sizeof(header);
    block += -(uintptr_t)block % RW_ALIGNMENT;
    header front = {.bytes = bytes, .base = base};
    memcpy(block - sizeof front, &front, sizeof front);
    size_t now = atomic_fetch_add(&in_use, bytes) + bytes;
    size_t most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) {
    }
    atomic_fetch_add(&allocations, 1);
    return block;
}

/* ", the machine has 16000.0 MiB" */
static const char *limit_text(char text[64])
{
    text[0] = '\0';
    if (rw_memory_limit() != SIZE_MAX)
        snprintf(text, 64, ", the machine or job has %.1f MiB",
                 (double)rw_memory_limit() / 1048576.0);
    return text;
}

rw_status rw_alloc(size_t count, size_t size, const char *what, void *out)
{
    char of_machine[64];
    void *block = size && count > SIZE_MAX / size ? NULL : take(count * size);
    memcpy(out, &block, sizeof block);
    if (!block)
        return rw_fail(RW_ERROR,
                       "out of memory: %s needs %.1f MiB more (%.1f MiB in use%s); use a "
                       "smaller model, data.batch or data.length, or more ranks",
                       what, (double)count * (double)size / 1048576.0,
                       (double)rw_memory_in_use() / 1048576.0, limit_text(of_machine));
    return RW_OK;
}

rw_status rw_strdup(const char *text, char **out)
{
    size_t bytes = strlen(text) + 1;
    RW_TRY(rw_alloc(bytes, 1, "a string", out));
    memcpy(*out, text, bytes);
    return RW_OK;
}

rw_status rw_grow(void *array, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return RW_OK;
    size_t wanted = *capacity ? *capacity : 8;
    while (wanted < need) wanted *= 2;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    RW_TRY(rw_alloc(wanted, size, "a growing list", &grown));
    if (old) memcpy(grown, old, *capacity * size);
    rw_free(&old);
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return RW_OK;
}

void rw_free(void *pointer)
{
    void *block;
    memcpy(&block, pointer, sizeof block);
    if (!block) return;
    header front;
    memcpy(&front, (char *)block - sizeof front, sizeof front);
    atomic_fetch_sub(&in_use, front.bytes);
    free(front.base);
    block = NULL;
    memcpy(pointer, &block, sizeof block);
}

size_t rw_memory_in_use(void)
{
    return atomic_load(&in_use);
}
size_t rw_memory_peak(void)
{
    return atomic_load(&peak);
}
size_t rw_memory_allocations(void)
{
    return atomic_load(&allocations);
}
size_t rw_memory_limit(void)
{
    size_t set = atomic_load(&limit);
    return set ? set : rw_machine_memory();
}
void rw_memory_set_limit(size_t bytes)
{
    atomic_store(&limit, bytes);
}
void rw_memory_fail_after(long n)
{
    atomic_store(&fail_after, n);
}
