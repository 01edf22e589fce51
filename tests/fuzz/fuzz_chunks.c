/* A data file of a checkpoint, which no hash protects from who writes it. In front of the
 * file's bytes stand the block that a manifest would ask for and where its frames would lie. */
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/data_file.h"
#include "tests/fuzz/target.h"

/* Numbers of 4 bytes: element, dims, extents, begin, end. */
enum { NUMBERS = 2 + RW_MAX_DIMS + 2 };

typedef struct {
    size_t next, whole;
} run;

/* Runs come in order, and none beyond the block. */
static rw_status take(void *state, const void *bytes, size_t size)
{
    run *r = state;
    const volatile unsigned char *all = bytes;
    for (size_t i = 0; i < size; i++) (void)all[i];
    r->next += size;
    FUZZ_EXPECT(r->next <= r->whole);
    return RW_OK;
}

/* False: larger than a fuzzer has time for. */
static bool make_block(const uint32_t *numbers, rw_block *block)
{
    *block = (rw_block){.name = "param/fuzz",
                        .element = numbers[0] % 2 ? 8 : 4,
                        .dims = 1 + (int)(numbers[1] % RW_MAX_DIMS)};
    uint64_t bytes = block->element;
    for (int d = 0; d < block->dims; d++) {
        block->shape[d] = 1 + (size_t)numbers[2 + d];
        if (__builtin_mul_overflow(bytes, block->shape[d], &bytes)) return false;
    }
    return bytes <= 8 << 20;
}

static void read_block(rw_data_file *file, const rw_block *block, const uint32_t *numbers)
{
    run r = {.whole = rw_shape_size(block->dims, block->shape) * block->element};
    rw_status status =
        rw_data_file_read(file, block, numbers[NUMBERS - 2], numbers[NUMBERS - 1], take, &r);
    FUZZ_EXPECT(status == RW_OK ? r.next == r.whole : strstr(rw_message(), "is damaged") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t numbers[NUMBERS];
    size_t before = rw_memory_in_use();
    unsigned char *bytes;
    rw_data_file *file;
    rw_block block;
    if (size < sizeof numbers) return 0;
    memcpy(numbers, data, sizeof numbers);
    if (!make_block(numbers, &block)) return 0;
    size -= sizeof numbers;
    rw_clear_message();
    FUZZ_EXPECT(rw_alloc(size, 1, "a file", &bytes) == RW_OK);
    memcpy(bytes, data + sizeof numbers, size);
    FUZZ_EXPECT(rw_data_file_new("folder", "data-0.h5", &bytes, size, &file) == RW_OK);
    read_block(file, &block, numbers);
    rw_data_file_destroy(&file);
    FUZZ_EXPECT(rw_memory_in_use() == before);
    return 0;
}
