/* An input of any content through each reader. The first byte chooses the format and
 * the options; the rest is the input: read from a file, then from a pipe, with the same
 * result. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/json_text.h"
#include "data_pipeline/reader.h"
#include "storage/content_hash.h"
#include "tests/fuzz/target.h"

/* Few compressed bytes may hold gigabytes: that is enough of them. */
#define TOKENS_MOST ((uint64_t)8 << 20)
#define PIPE_BYTES  ((size_t)60000) /* fit into a pipe that nobody reads yet */

/* Bits of the first byte. */
enum { FORMAT = 7, SKIP_BAD = 8, INNER_FIELD = 16 };

typedef struct {
    const rw_reader *reader;
    uint64_t documents, tokens;
    rw_hasher hash;
    rw_status status;
    rw_reader_notes notes;
    bool enough;
} result;

/* A document of JSON lines is UTF-8. */
static void expect_utf8(const uint8_t *bytes, size_t count)
{
    uint8_t *string = malloc(count + 2);
    FUZZ_EXPECT(string);
    string[0] = string[count + 1] = '"';
    for (size_t i = 0; i < count; i++)
        string[i + 1] = bytes[i] < 0x20 || bytes[i] == '"' || bytes[i] == '\\' ? 'x' : bytes[i];
    FUZZ_EXPECT(rw_json_check(string, count + 2).state == RW_JSON_WHOLE);
    free(string);
}

static rw_status begin_document(void *context)
{
    result *r = context;
    rw_hasher_add(&r->hash, &r->tokens, sizeof r->tokens);
    r->documents++;
    return RW_OK;
}

static rw_status append(void *context, const uint8_t *bytes, size_t count)
{
    result *r = context;
    FUZZ_EXPECT(r->documents > 0 || count == 0);
    if (r->reader == &rw_reader_jsonl) expect_utf8(bytes, count);
    if (r->reader == &rw_reader_fasta)
        for (size_t i = 0; i < count; i++)
            FUZZ_EXPECT(bytes[i] && strchr(rw_fasta_letters, bytes[i]));
    if (count > 0) rw_hasher_add(&r->hash, bytes, count);
    r->tokens += count;
    r->enough = r->tokens > TOKENS_MOST;
    return r->enough ? rw_fail(RW_ERROR, "enough") : RW_OK;
}

static rw_status read_input(rw_input *input, uint8_t choice, result *r)
{
    static const char *const formats[] = {"auto",  "text", "jsonl", "fasta",
                                          "bytes", "auto", "jsonl", "fasta"};
    const rw_reader_options options = {.field = choice & INNER_FIELD ? "a.b" : "text",
                                       .skip_bad = choice & SKIP_BAD};
    const rw_token_sink sink = {r, begin_document, append};
    RW_TRY(rw_reader_choose(formats[choice & FORMAT], input, &r->reader));
    return r->reader->read(input, &options, &sink, &r->notes);
}

static result read_path(const char *path, uint8_t choice)
{
    rw_input *input;
    result r = {0};
    rw_hasher_reset(&r.hash);
    rw_clear_message();
    r.status = rw_input_open(path, &input);
    if (r.status == RW_OK) r.status = read_input(input, choice, &r);
    FUZZ_EXPECT(r.status == RW_OK || (r.status == RW_ERROR && rw_message()[0]));
    rw_input_close(&input);
    return r;
}

static result read_file(const uint8_t *data, size_t size, uint8_t choice)
{
    char path[64];
    int file = memfd_create("input", MFD_CLOEXEC);
    FUZZ_EXPECT(file >= 0);
    FUZZ_EXPECT(size == 0 || write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    result r = read_path(path, choice);
    close(file);
    return r;
}

static result read_pipe(const uint8_t *data, size_t size, uint8_t choice)
{
    char path[64];
    int ends[2];
    FUZZ_EXPECT(pipe(ends) == 0);
    FUZZ_EXPECT(write(ends[1], data, size) == (ssize_t)size);
    close(ends[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    result r = read_path(path, choice);
    close(ends[0]);
    return r;
}

static void expect_equal(const result *one, const result *other)
{
    FUZZ_EXPECT(one->status == other->status && one->reader == other->reader);
    FUZZ_EXPECT(one->documents == other->documents && one->tokens == other->tokens);
    FUZZ_EXPECT(rw_hasher_value(&one->hash) == rw_hasher_value(&other->hash));
    FUZZ_EXPECT(one->notes.bad_lines == other->notes.bad_lines);
    FUZZ_EXPECT(one->notes.surrogates == other->notes.surrogates);
}

/* What is no whole value is never searched. */
static void search_json(const uint8_t *data, size_t size)
{
    rw_json_scan scan = rw_json_check(data, size);
    FUZZ_EXPECT(scan.used <= size);
    FUZZ_EXPECT((scan.state == RW_JSON_WHOLE) == !scan.fault);
    rw_json_value found;
    if (scan.fault || !rw_json_find((rw_json_value){data, scan.used}, "text", 4, &found)) return;
    FUZZ_EXPECT(found.text >= data && found.text + found.count <= data + scan.used);
    FUZZ_EXPECT(rw_json_check(found.text, found.count).used == found.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    rw_log_speak(false);
    size_t before = rw_memory_in_use();
    const uint8_t choice = *data++;
    size--;
    result file = read_file(data, size, choice);
    if (size <= PIPE_BYTES && !file.enough) {
        result pipe = read_pipe(data, size, choice);
        expect_equal(&file, &pipe);
    }
    if (file.status == RW_OK && file.reader == &rw_reader_bytes) FUZZ_EXPECT(file.documents == 1);
    search_json(data, size);
    FUZZ_EXPECT(rw_memory_in_use() == before);
    return 0;
}
