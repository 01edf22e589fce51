/* A dataset file, as it is and as someone writes it who knows the format: there the
 * hashes of the header and of the lists are made right first. All that opens is read, and
 * what readers rely on is expected of it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "data_pipeline/dataset_check.h"
#include "data_pipeline/split_view.h"
#include "storage/content_hash.h"
#include "tests/fuzz/target.h"

/* Places of the header, see docs/dataset-format.md. */
enum { AT_TOKEN_HASH = 48, AT_LISTS = 96, AT_HASH = RW_DATASET_HEADER - 8, AT_ALPHABET = 512 };

static void expect_ranges(const rw_dataset_index *index, uint64_t tokens)
{
    uint64_t end = 0, document = 0;
    for (size_t i = 0; i < index->heldout_count; i++) {
        FUZZ_EXPECT(index->heldout[i].begin < index->heldout[i].end);
        FUZZ_EXPECT(i == 0 || index->heldout[i].begin > end);
        end = index->heldout[i].end;
    }
    FUZZ_EXPECT(end <= tokens);
    for (size_t i = 0; i < index->document_count; i++) {
        FUZZ_EXPECT(index->documents[i] >= document && index->documents[i] <= tokens);
        document = index->documents[i];
    }
    for (size_t i = 0; i < index->source_count; i++) {
        rw_token_range r = rw_dataset_index_source(index, i, tokens);
        FUZZ_EXPECT(r.begin <= r.end && r.end <= tokens);
        FUZZ_EXPECT(strlen(rw_dataset_index_name(index, i)) < index->name_bytes);
    }
}

static void count_place(void *context, uint64_t place)
{
    uint64_t *last = context;
    FUZZ_EXPECT(place >= *last);
    *last = place;
}

/* Goes through a part as a loader does, in windows. */
static void read_part(rw_dataset *dataset, rw_part part, bool *whole)
{
    enum { WINDOW = 1000, WINDOWS_MOST = 2000 };
    rw_split_view view;
    uint8_t tokens[WINDOW];
    int vocab = rw_dataset_describe(dataset)->vocab;
    FUZZ_EXPECT(rw_split_view_make(dataset, part, true, &view) == RW_OK);
    FUZZ_EXPECT(rw_split_view_targets(&view) < view.tokens || view.tokens == 0);
    for (uint64_t at = 0, n = 0; at < view.tokens && n < WINDOWS_MOST; at += WINDOW, n++) {
        uint64_t last = at, left = view.tokens - at, count = left < WINDOW ? left : WINDOW;
        *whole = rw_split_view_read(&view, at, count, tokens) == RW_OK && *whole;
        for (uint64_t i = 0; i < count && *whole; i++) FUZZ_EXPECT(tokens[i] < vocab);
        rw_split_view_documents(&view, at, at + count, count_place, &last);
        FUZZ_EXPECT(last <= at + count);
    }
    rw_split_view_free(&view);
}

static void read_dataset(const char *path)
{
    rw_dataset *dataset;
    bool whole = true;
    rw_clear_message();
    if (rw_dataset_open(path, &dataset) != RW_OK) {
        FUZZ_EXPECT(!dataset && strstr(rw_message(), path));
        return;
    }
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    FUZZ_EXPECT(f->tokens > 0 && f->heldout <= f->tokens);
    expect_ranges(rw_dataset_lists(dataset), f->tokens);
    for (int part = RW_PART_TRAINING; part <= RW_PART_ALL; part++)
        read_part(dataset, (rw_part)part, &whole);
    FUZZ_EXPECT(whole || rw_message()[0]);
    rw_dataset_close(&dataset);
}

static uint64_t number_at(const uint8_t *bytes, size_t at)
{
    uint64_t number;
    memcpy(&number, bytes + at, sizeof number);
    return number;
}

static void put_number(uint8_t *bytes, size_t at, uint64_t number)
{
    memcpy(bytes + at, &number, sizeof number);
}

/* Makes the hashes that protect the header and the lists, and the size of the file,
 * those of what is there. Hashes of chunks are in a list. */
static void make_right(uint8_t *bytes, size_t size)
{
    char alphabet[257] = "";
    if (size < RW_DATASET_HEADER) return;
    put_number(bytes, 24, size);
    for (int i = 0; i < RW_DATASET_LISTS; i++) {
        size_t at = AT_LISTS + sizeof(rw_list_extent) * (size_t)i;
        uint64_t offset = number_at(bytes, at), count = number_at(bytes, at + 8);
        if (offset <= size && count <= size - offset)
            put_number(bytes, at + 16, rw_hash(bytes + offset, count));
    }
    memcpy(alphabet, bytes + AT_ALPHABET, 256);
    const uint64_t parts[] = {number_at(bytes, AT_TOKEN_HASH), number_at(bytes, AT_LISTS + 16),
                              number_at(bytes, AT_LISTS + 40), rw_hash(alphabet, strlen(alphabet))};
    put_number(bytes, 56, rw_hash(parts, sizeof parts));
    put_number(bytes, AT_HASH, rw_hash(bytes, AT_HASH));
}

static void read_bytes(const uint8_t *bytes, size_t size)
{
    char path[64];
    int file = memfd_create("dataset", MFD_CLOEXEC);
    FUZZ_EXPECT(file >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t part = write(file, bytes + done, size - done);
        FUZZ_EXPECT(part > 0);
        done += (size_t)part;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    read_dataset(path);
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t before = rw_memory_in_use();
    uint8_t *copy = malloc(size + 1);
    FUZZ_EXPECT(copy);
    if (size > 0) memcpy(copy, data, size);
    read_bytes(copy, size);
    make_right(copy, size);
    read_bytes(copy, size);
    free(copy);
    rw_clear_message();
    FUZZ_EXPECT(rw_memory_in_use() == before);
    return 0;
}
