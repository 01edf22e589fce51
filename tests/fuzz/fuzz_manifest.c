/* The manifest of a checkpoint, as someone writes it who knows the format: its own hash
 * is made right first. What is accepted is used as a reader uses it, and written again. */
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/manifest.h"
#include "checkpoints/tensor_block.h"
#include "storage/content_hash.h"
#include "tests/fuzz/target.h"

static void look_at_segments(const rw_manifest *manifest)
{
    for (size_t i = 0; i < manifest->segment_count; i++) {
        const rw_extent *segment = &manifest->segments[i];
        const rw_manifest_file *file = &manifest->files[segment->file];
        FUZZ_EXPECT(segment->tensor < manifest->tensor_count);
        FUZZ_EXPECT(segment->file + 1 < manifest->file_count);
        FUZZ_EXPECT(segment->begin < segment->end);
        FUZZ_EXPECT(segment->offset + segment->bytes <= file->bytes);
        FUZZ_EXPECT(!strchr(file->name, '/'));
        FUZZ_EXPECT(rw_manifest_file_end(manifest, i) > i);
        rw_block block = rw_manifest_block(manifest, segment);
        rw_chunks chunks;
        rw_chunks_plan(&block, RW_CHUNK_MAX_BYTES, &chunks);
        rw_chunk last = rw_chunk_at(&block, &chunks, chunks.count - 1);
        FUZZ_EXPECT(chunks.bytes <= RW_CHUNK_MAX_BYTES && chunks.bytes > 0);
        FUZZ_EXPECT(last.begin + last.bytes ==
                    rw_shape_size(block.dims, block.shape) * block.element);
    }
}

static void look_at_tensors(const rw_manifest *manifest)
{
    char shape[RW_SHAPE_TEXT];
    uint64_t bytes = 0;
    for (size_t i = 0; i < manifest->tensor_count; i++) {
        const rw_manifest_tensor *tensor = &manifest->tensors[i];
        rw_shape_text(tensor->dims, tensor->shape, shape);
        FUZZ_EXPECT(rw_manifest_find(manifest, tensor->name) == (long)i);
        FUZZ_EXPECT(!__builtin_add_overflow(bytes, rw_manifest_tensor_bytes(manifest, i), &bytes));
    }
    FUZZ_EXPECT(rw_manifest_find(manifest, "absent") < 0);
    rw_manifest_file_bytes(manifest);
}

static void expect_round_trip(const rw_manifest *manifest)
{
    char *text = NULL;
    size_t size;
    bool damaged;
    rw_manifest *again = NULL;
    FUZZ_EXPECT(rw_manifest_write(manifest, &text, &size) == RW_OK);
    rw_status status = rw_manifest_parse(text, size, "again", &again, &damaged);
    if (status != RW_OK) fprintf(stderr, "%s in\n%s\n", rw_message(), text);
    FUZZ_EXPECT(status == RW_OK);
    FUZZ_EXPECT(again->tensor_count == manifest->tensor_count);
    FUZZ_EXPECT(again->segment_count == manifest->segment_count);
    rw_manifest_destroy(&again);
    rw_free(&text);
}

static void read_manifest(const char *text, size_t size)
{
    rw_manifest *manifest = NULL;
    bool damaged;
    rw_clear_message();
    rw_status status = rw_manifest_parse(text, size, "manifest.json", &manifest, &damaged);
    if (status == RW_OK) {
        look_at_tensors(manifest);
        look_at_segments(manifest);
        expect_round_trip(manifest);
    } else {
        FUZZ_EXPECT(!manifest && (damaged || status == RW_USAGE));
        FUZZ_EXPECT(strstr(rw_message(), "manifest.json"));
    }
    rw_manifest_destroy(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char hash[RW_HASH_TEXT];
    size_t before = rw_memory_in_use();
    char *text = malloc(size + RW_MANIFEST_TAIL_BYTES + 1);
    FUZZ_EXPECT(text);
    read_manifest((const char *)data, size);
    memcpy(text, data, size);
    snprintf(text + size, RW_MANIFEST_TAIL_BYTES + 1, RW_MANIFEST_TAIL,
             rw_hash_text(rw_hash(text, size), hash));
    read_manifest(text, size + RW_MANIFEST_TAIL_BYTES);
    free(text);
    FUZZ_EXPECT(rw_memory_in_use() == before);
    return 0;
}
