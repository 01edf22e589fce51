/* Allocation: every allocation of ropewalk goes through here, is counted, and can be told to fail.
 * Step memory lives in an arena, sized at planning time. */
#ifndef RW_MEMORY_H
#define RW_MEMORY_H

#include <stddef.h>

#include "base/status.h"

#define RW_ALIGNMENT 64 /* bytes; a cache line and the widest vector register */

/* Sets *out to `count * size` zeroed bytes, aligned to RW_ALIGNMENT. A zero size gives a valid
 * pointer. A large block gets its pages at the first write, near the writing thread; before that,
 * all reads see one page of zeroes, so measurements of memory write first. On failure *out is NULL
 * and a message names `what`. The caller owns the memory and releases it with rw_free. */
rw_status rw_alloc(size_t count, size_t size, const char *what, void *out);

/* Duplicates a string. Same rules. */
rw_status rw_strdup(const char *text, char **out);

/* Grows *array from `count` used elements to hold at least `need`; capacity doubles. New elements
 * are zeroed. */
rw_status rw_grow(void *array, size_t *capacity, size_t need, size_t size);

/* Releases *pointer (a pointer to a pointer; NULL inside is fine) and clears it. */
void rw_free(void *pointer);

/* Bytes now allocated, and the most there ever were. */
size_t rw_memory_in_use(void);
size_t rw_memory_peak(void);
/* Number of allocations made so far: equal before and after a training step. */
size_t rw_memory_allocations(void);
/* Bytes that this process may use; more is refused with a message, because the kernel would end the
 * process without a message. Initially the memory of the machine (machine_memory.h). */
size_t rw_memory_limit(void);
/* Sets the limit; 0: the memory of the machine. For tests. */
void rw_memory_set_limit(size_t bytes);
/* Makes the n-th allocation from now fail (0: never). For tests. */
void rw_memory_fail_after(long n);

#endif
