/* Dataset files: from inputs of every format to tokens and back, and what
 * happens to damaged ones. */
#include "tests/data_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/memory.h"

#define CHUNK RW_DATASET_CHUNK

typedef enum { PLAIN, GZIP, ZSTD, XZ, BZIP2, COMPRESSIONS } compression;

/* Writes the input NAME, NAME.gz, ... and returns that name. */
static const char *write_input(const char *name, compression kind, const void *bytes, size_t count)
{
    static char full[64];
    snprintf(full, sizeof full, "%s%s", name,
             (const char *[]){"", ".gz", ".zst", ".xz", ".bz2"}[kind]);
    if (kind == PLAIN) write_file(full, bytes, count);
    if (kind == GZIP) write_gzip(full, bytes, count, 1);
    if (kind == ZSTD) write_zstd(full, bytes, count, 1);
    if (kind == XZ) write_xz(full, bytes, count, 1);
    if (kind == BZIP2) write_bzip2(full, bytes, count, 1);
    return full;
}

static void assert_tokens(const char *name, const uint8_t *expected, uint64_t count)
{
    rw_dataset *dataset;
    assert_int_equal(rw_dataset_open(in_folder(name), &dataset), RW_OK);
    assert_int_equal(rw_dataset_describe(dataset)->tokens, count);
    uint8_t *tokens = malloc(count + 1);
    assert_int_equal(rw_dataset_read(dataset, 0, count, tokens), RW_OK);
    assert_memory_equal(tokens, expected, count);
    rw_random draws = rw_random_stream(7, RW_RANDOM_TEST, count);
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t first = rw_random_below(draws, 2 * i, count);
        uint64_t part = rw_random_below(draws, 2 * i + 1, count - first + 1);
        memset(tokens, 0xa5, part + 1);
        assert_int_equal(rw_dataset_read(dataset, first, part, tokens), RW_OK);
        assert_memory_equal(tokens, expected + first, part);
        assert_int_equal(tokens[part], 0xa5);
    }
    free(tokens);
    assert_message(rw_dataset_read(dataset, count, 1, (uint8_t[1]){0}), RW_ERROR, "beyond");
    rw_dataset_close(&dataset);
}

static void assert_documents(const char *name, const uint64_t *begins, size_t count)
{
    rw_dataset *dataset;
    assert_int_equal(rw_dataset_open(in_folder(name), &dataset), RW_OK);
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    assert_int_equal(index->document_count, count);
    assert_memory_equal(index->documents, begins, count * sizeof *begins);
    rw_dataset_close(&dataset);
}

static rw_status verify(const char *name)
{
    FILE *out = fopen("/dev/null", "w");
    rw_status status = rw_dataset_verify(in_folder(name), out);
    fclose(out);
    return status;
}

static void text_of_any_size_and_compression_comes_back(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 2, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint8_t *bytes = make_bytes(sizes[s], s);
        for (compression kind = PLAIN; kind < COMPRESSIONS; kind++) {
            const char *input = write_input("in", kind, bytes, sizes[s]);
            assert_int_equal(build_from("out.h5", input, "text", 0.1), RW_OK);
            assert_tokens("out.h5", bytes, sizes[s]);
            assert_documents("out.h5", (uint64_t[]){0}, 1);
            assert_int_equal(verify("out.h5"), RW_OK);
        }
        free(bytes);
    }
}

static void json_lines_are_documents(void **state)
{
    (void)state;
    static const char lines[] = "{\"text\": \"one\", \"id\": 1}\n"
                                "{\"id\": 2, \"text\": \"\"}\r\n"
                                "  \n"
                                "{\"text\": \"\\u00e9\\u0000\\n\"}\n"
                                "{\"text\": \"last\"}";
    for (compression kind = PLAIN; kind < COMPRESSIONS; kind++) {
        const char *input = write_input("in.jsonl", kind, lines, strlen(lines));
        assert_int_equal(build_from("out.h5", input, "auto", 0.5), RW_OK);
        assert_tokens("out.h5", (const uint8_t *)"one\xc3\xa9\0\nlast", 11);
        assert_documents("out.h5", (uint64_t[]){0, 3, 3, 7}, 4);
    }
}

static void a_json_line_may_be_longer_than_a_buffer(void **state)
{
    (void)state;
    const size_t count = 400000;
    char *line = malloc(2 * count + 64);
    memset(line, 'x', 2 * count + 64);
    memcpy(line, "{\"body\": \"", 10);
    memcpy(line + 10 + count, "\"}\n{\"body\": \"", 13);
    memcpy(line + 23 + 2 * count, "\"}\n", 3);
    write_file("in", line, 26 + 2 * count);
    const char *path = in_folder("out.h5"), *inputs[] = {in_folder("in")};
    const rw_dataset_options options = {.format = "jsonl", .field = "body", .replace = true};
    assert_int_equal(rw_dataset_build(path, inputs, 1, &options), RW_OK);
    memset(line, 'x', 2 * count);
    assert_tokens("out.h5", (uint8_t *)line, 2 * count);
    assert_documents("out.h5", (uint64_t[]){0, count}, 2);
    free(line);
}

static void fasta_records_become_letters(void **state)
{
    (void)state;
    static const char fasta[] = ">first record\r\nACg t\r\nnn\r\n;a comment\n>empty\n>last\nRYA";
    for (compression kind = PLAIN; kind < COMPRESSIONS; kind++) {
        const char *input = write_input("in.fna", kind, fasta, strlen(fasta));
        assert_int_equal(build_from("out.h5", input, "auto", 0.1), RW_OK);
        assert_tokens("out.h5", (uint8_t[]){0, 1, 2, 3, 4, 4, 5, 6, 0}, 9);
        assert_documents("out.h5", (uint64_t[]){0, 6, 6}, 3);
        rw_dataset *dataset;
        assert_int_equal(rw_dataset_open(in_folder("out.h5"), &dataset), RW_OK);
        assert_string_equal(rw_dataset_describe(dataset)->alphabet, "ACGTNRY");
        assert_int_equal(rw_dataset_describe(dataset)->vocab, 7);
        rw_dataset_close(&dataset);
        assert_int_equal(verify("out.h5"), RW_OK);
    }
}

static void formats_are_told_by_name_then_content(void **state)
{
    (void)state;
    const struct {
        const char *name, *content;
        int vocab;
    } cases[] = {
        {"genome", ">seq\nACGT\n", 4},      {"genome.txt", ">seq\nACGT\n", 256},
        {"quote", "> is greater\n1", 256},  {"lines", "{\"text\": \"abc\"}\n", 256},
        {"code", "{\n  return;\n}\n", 256}, {"protein.FAA", ">p\nMKV*\n", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rw_dataset *dataset;
        write_file(cases[i].name, cases[i].content, strlen(cases[i].content));
        assert_int_equal(build_from("out.h5", cases[i].name, "auto", 0), RW_OK);
        assert_int_equal(rw_dataset_open(in_folder("out.h5"), &dataset), RW_OK);
        assert_int_equal(rw_dataset_describe(dataset)->vocab, cases[i].vocab);
        bool is_lines = strcmp(cases[i].name, "lines") == 0;
        if (is_lines) assert_int_equal(rw_dataset_describe(dataset)->tokens, 3);
        rw_dataset_close(&dataset);
    }
}

static void inputs_follow_one_another(void **state)
{
    (void)state;
    write_file("a", "first", 5);
    write_file("b", "", 0);
    write_file("c", "third", 5);
    const char *out = in_folder("out.h5");
    const char *inputs[] = {in_folder("a"), in_folder("b"), in_folder("c")};
    const rw_dataset_options options = {.heldout = 0.3, .replace = true};
    assert_int_equal(rw_dataset_build(out, inputs, 3, &options), RW_OK);
    assert_tokens("out.h5", (const uint8_t *)"firstthird", 10);
    assert_documents("out.h5", (uint64_t[]){0, 5, 5}, 3);
    char report[8192] = "";
    FILE *text = fmemopen(report, sizeof report, "w");
    assert_int_equal(rw_dataset_info(out, text), RW_OK);
    fclose(text);
    assert_non_null(strstr(report, "tokens     10 (training 7, held out 3)"));
    assert_non_null(strstr(report, inputs[2]));
}

static void equal_inputs_give_equal_files(void **state)
{
    (void)state;
    size_t first_bytes, second_bytes;
    uint8_t *bytes = make_bytes(CHUNK + 77, 5);
    write_file("in", bytes, CHUNK + 77);
    assert_int_equal(build_from("one.h5", "in", "text", 0.1), RW_OK);
    assert_int_equal(build_from("two.h5", "in", "text", 0.1), RW_OK);
    uint8_t *first = read_file("one.h5", &first_bytes);
    uint8_t *second = read_file("two.h5", &second_bytes);
    assert_int_equal(first_bytes, second_bytes);
    assert_memory_equal(first, second, first_bytes);
    free(first);
    free(second);
    free(bytes);
}

/* Building from this input fails with this message, the file that was there
 * is left as it was, and nothing else is left behind. */
static void assert_refused(const char *input, const char *format, rw_status expected,
                           const char *message)
{
    write_file("old.h5", "precious", 8);
    assert_message(build_from("old.h5", input, format, 0.1), expected, message);
    size_t bytes;
    uint8_t *old = read_file("old.h5", &bytes);
    assert_int_equal(bytes, 8);
    assert_memory_equal(old, "precious", 8);
    free(old);
    assert_int_equal(files_that_begin("old.h5"), 1);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    const struct {
        const char *format, *content, *message;
    } cases[] = {
        {"jsonl", "{\"text\": \"a\"}\n\n{\"text\": \n", "in:3: not JSON"},
        {"jsonl", "{\"text\": \"a\"}\n{\"other\": \"b\"}\n", "in:2: no field 'text'"},
        {"jsonl", "{\"text\": 5}\n", "in:1: field 'text' is not a string"},
        {"jsonl", "[1]\n", "in:1: not a JSON object"},
        {"jsonl", "{\"text\": 5}\n", "--skip-bad leaves such lines out"},
        {"fasta", ">a\nACGT\nAC5T\n", "in:3: '5' is not a sequence letter"},
        {"fasta", ">a\nAC\x01", "in:2: byte 0x01 is not"},
        {"fasta", "ACGT\n>a\n", "in:1: not FASTA"},
        {"fasta", ">a\n>b\n", "no sequence letters"},
        {"text", "", "no tokens"},
        {"jsonl", "\n\n", "no tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("in", cases[i].content, strlen(cases[i].content));
        assert_refused("in", cases[i].format, RW_ERROR, cases[i].message);
    }
}

static void damaged_compression_is_named(void **state)
{
    (void)state;
    const size_t count = 200000;
    uint8_t *bytes = make_bytes(count, 9);
    for (compression kind = GZIP; kind < COMPRESSIONS; kind++) {
        const char *name = write_input("in", kind, bytes, count);
        size_t size;
        uint8_t *packed = read_file(name, &size);
        for (size_t cut = 7; cut < size; cut += size / 5) {
            write_file("cut", packed, cut);
            assert_refused("cut", "text", RW_ERROR, "cut is damaged");
        }
        write_file("tail", packed, size);
        FILE *tail = fopen(in_folder("tail"), "ab");
        fputs("more", tail);
        fclose(tail);
        assert_refused("tail", "text", RW_ERROR, "tail is damaged");
        free(packed);
    }
    free(bytes);
}

static void impossible_builds_are_refused(void **state)
{
    (void)state;
    write_file("in", "text", 4);
    write_file("g.fa", ">g\nACGT\n", 8);
    assert_refused("absent", "auto", RW_ERROR, "absent: No such file");
    assert_int_equal(mkdir(in_folder("empty"), 0777), 0);
    assert_refused("empty", "auto", RW_ERROR, "is a folder without files");
    assert_int_equal(rmdir(in_folder("empty")), 0);
    assert_refused("in", "fastq", RW_USAGE, "did you mean fasta?");
    assert_message(build_from("no/out.h5", "in", "auto", 0.1), RW_ERROR, "folder exists");
    assert_int_equal(symlink("g.fa", in_folder("link.h5")), 0);
    assert_message(build_from("link.h5", "in", "auto", 0.1), RW_ERROR, "only a file can be");
    assert_message(build_from("out.h5", "in", "auto", 1.5), RW_USAGE, "held-out share");
    const char *out = in_folder("out.h5"), *mixed[] = {in_folder("in"), in_folder("g.fa")};
    const rw_dataset_options options = {.heldout = 0.1};
    assert_message(rw_dataset_build(out, mixed, 2, &options), RW_USAGE, "letters and bytes");
    assert_message(rw_dataset_build(out, mixed, 0, &options), RW_USAGE, "no inputs");
    assert_int_equal(access(out, F_OK), -1);
}

/* In a process of its own, which ends without the exit handlers: HDF5 cannot
 * close a file under this limit, as it can on a disk that got space again. */
static void build_on_full_disk(const char *input)
{
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){3 * CHUNK, 3 * CHUNK});
    rw_status status = build_from("out.h5", input, "text", 0.1);
    bool told = strstr(rw_message(), "File too large; check the space") != NULL;
    _exit(status == RW_ERROR && told ? 0 : 1);
}

static void a_full_disk_is_reported(void **state)
{
    (void)state;
    const size_t count = 8 * CHUNK;
    uint8_t *bytes = make_bytes(count, 11);
    write_file("in", bytes, count);
    pid_t child = fork();
    if (child == 0) build_on_full_disk("in");
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(files_that_begin("out.h5"), 0);
    free(bytes);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    write_file("in.fa", ">g\nACGT\n", 8);
    size_t before = rw_memory_in_use();
    rw_status status = RW_ERROR;
    for (long n = 1; status != RW_OK; n++) {
        assert_true(n < 200);
        rw_memory_fail_after(n);
        status = build_from("out.h5", "in.fa", "auto", 0.1);
        if (status == RW_OK) status = verify("out.h5");
        rw_memory_fail_after(0);
        assert_int_equal(rw_memory_in_use(), before);
        if (status != RW_OK && !strstr(rw_message(), "memory"))
            fail_msg("%ld: %s", n, rw_message());
        rw_clear_message();
    }
}

/* ---- damage to the file ---- */

static void flip(const char *name, uint64_t offset)
{
    int file = open(in_folder(name), O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(file, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(file, &byte, 1, (off_t)offset), 1);
    close(file);
}

static void damage_of_each_region_is_found(void **state)
{
    (void)state;
    rw_dataset *dataset;
    rw_dataset_header header;
    uint64_t frames[3];
    uint8_t *bytes = make_bytes(2 * CHUNK + 9, 13);
    write_file("in", bytes, 2 * CHUNK + 9);
    assert_int_equal(build_from("out.h5", "in", "text", 0.1), RW_OK);
    assert_int_equal(rw_dataset_open(in_folder("out.h5"), &dataset), RW_OK);
    header = *rw_dataset_begin(dataset);
    for (int i = 0; i < 3; i++)
        frames[i] = rw_dataset_lists(dataset)->chunk_offsets[i] +
                    rw_dataset_lists(dataset)->chunk_sizes[i] / 2;
    rw_dataset_close(&dataset);
    for (int i = 0; i < RW_DATASET_LISTS; i++) {
        flip("out.h5", header.lists[i].offset);
        assert_message(verify("out.h5"), RW_ERROR, "is damaged");
        flip("out.h5", header.lists[i].offset);
    }
    for (uint64_t chunk = 0; chunk < 3; chunk++) {
        flip("out.h5", frames[chunk]);
        assert_message(verify("out.h5"), RW_ERROR, "is damaged");
        char part[64];
        snprintf(part, sizeof part, "chunk %d of 3 is damaged", (int)chunk);
        assert_int_equal(rw_dataset_open(in_folder("out.h5"), &dataset), RW_OK);
        assert_message(rw_dataset_read(dataset, chunk * CHUNK, 1, bytes), RW_ERROR, part);
        rw_dataset_close(&dataset);
        flip("out.h5", frames[chunk]);
    }
    assert_int_equal(verify("out.h5"), RW_OK);
    free(bytes);
}

/* The dataset still says what it said: tokens, documents, what is held out. */
static bool says_the_same(const char *name, const uint8_t *text, size_t count,
                          const rw_dataset_facts *facts, const rw_dataset_index *index)
{
    rw_dataset *dataset;
    uint8_t tokens[256];
    if (rw_dataset_open(in_folder(name), &dataset) != RW_OK) return false;
    bool read = rw_dataset_describe(dataset)->tokens == count &&
                rw_dataset_read(dataset, 0, count, tokens) == RW_OK;
    if (read) {
        const rw_dataset_index *now = rw_dataset_lists(dataset);
        assert_memory_equal(tokens, text, count);
        assert_memory_equal(rw_dataset_describe(dataset), facts, sizeof *facts);
        assert_int_equal(now->document_count, index->document_count);
        assert_memory_equal(now->documents, index->documents, 8 * index->document_count);
        assert_int_equal(now->heldout_count, index->heldout_count);
        assert_memory_equal(now->heldout, index->heldout,
                            index->heldout_count * sizeof *index->heldout);
        assert_string_equal(now->source_names, index->source_names);
    }
    rw_dataset_close(&dataset);
    return read;
}

static void flip_bit(uint8_t *bytes, size_t count, size_t at, int bit)
{
    bytes[at] ^= (uint8_t)(1 << bit);
    write_file("flipped.h5", bytes, count);
    bytes[at] ^= (uint8_t)(1 << bit);
}

/* Wherever a bit of the file is turned over: whoever reads it gets a message or
 * what was there before, and verify always finds it. */
static void no_flipped_bit_goes_unnoticed(void **state)
{
    (void)state;
    static const char lines[] = "{\"text\": \"A small file,\"}\n{\"text\": \" so that\"}\n"
                                "{\"text\": \" much of it can be tried.\"}\n";
    static const char text[] = "A small file, so that much of it can be tried.";
    const size_t count = strlen(text);
    rw_dataset *whole;
    write_file("in.jsonl", lines, strlen(lines));
    assert_int_equal(build_from("out.h5", "in.jsonl", "auto", 0.3), RW_OK);
    assert_int_equal(rw_dataset_open(in_folder("out.h5"), &whole), RW_OK);
    size_t size, unharmed = 0;
    uint8_t *bytes = read_file("out.h5", &size);
    for (size_t at = 0; at < size; at += at < RW_DATASET_HEADER ? 3 : 5) {
        flip_bit(bytes, size, at, (int)(at / 3 % 8));
        unharmed += says_the_same("flipped.h5", (const uint8_t *)text, count,
                                  rw_dataset_describe(whole), rw_dataset_lists(whole));
        if (at < RW_DATASET_HEADER) assert_int_equal(unharmed, 0);
        rw_clear_message();
        assert_message(verify("flipped.h5"), RW_ERROR, "flipped.h5");
    }
    assert_true(unharmed > 0); /* what HDF5 alone reads */
    rw_dataset_close(&whole);
    free(bytes);
}

static void truncated_and_foreign_files_are_refused(void **state)
{
    (void)state;
    uint8_t *bytes = make_bytes(CHUNK, 17);
    write_file("in", bytes, CHUNK);
    assert_int_equal(build_from("out.h5", "in", "text", 0.1), RW_OK);
    size_t size;
    uint8_t *whole = read_file("out.h5", &size);
    for (size_t cut = 0; cut < size; cut += size / 7) {
        write_file("cut.h5", whole, cut);
        assert_message(verify("cut.h5"), RW_ERROR, "cut.h5");
    }
    assert_message(verify("absent.h5"), RW_ERROR, "No such file");
    hid_t file = H5Fcreate(in_folder("other.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    write_file("foreign.h5", "no HDF5", 7);
    assert_message(verify("foreign.h5"), RW_ERROR, "is not a dataset of ropewalk");
    assert_message(verify("other.h5"), RW_ERROR, "version 1, of an older ropewalk");
    assert_message(verify("."), RW_ERROR, "is a folder, not a file");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_message(verify("pipe"), RW_ERROR, "is a pipe or a device, not a file");
    free(whole);
    free(bytes);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    rw_log_speak(false);
    const struct CMUnitTest tests[] = {
        IN_FOLDER(text_of_any_size_and_compression_comes_back),
        IN_FOLDER(json_lines_are_documents),
        IN_FOLDER(a_json_line_may_be_longer_than_a_buffer),
        IN_FOLDER(fasta_records_become_letters),
        IN_FOLDER(formats_are_told_by_name_then_content),
        IN_FOLDER(inputs_follow_one_another),
        IN_FOLDER(equal_inputs_give_equal_files),
        IN_FOLDER(bad_lines_are_named),
        IN_FOLDER(damaged_compression_is_named),
        IN_FOLDER(impossible_builds_are_refused),
        IN_FOLDER(a_full_disk_is_reported),
        IN_FOLDER(every_failing_allocation_is_survived),
        IN_FOLDER(damage_of_each_region_is_found),
        IN_FOLDER(no_flipped_bit_goes_unnoticed),
        IN_FOLDER(truncated_and_foreign_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
