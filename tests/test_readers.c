/* What inputs may be: compressed in parts, from pipes, with marks, any line ends
 * and bad lines; and what is refused by name instead of becoming text. */
#include "tests/data_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/json_text.h"
#include "data_pipeline/reader.h"
#include "storage/content_hash.h"

/* ---- what a build gives ---- */

static void assert_dataset(const void *tokens, uint64_t count, uint64_t documents)
{
    rw_dataset *dataset;
    assert_int_equal(rw_dataset_open(in_folder("out.h5"), &dataset), RW_OK);
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    assert_int_equal(rw_dataset_describe(dataset)->tokens, count);
    uint8_t *found = malloc(count + 1);
    assert_int_equal(rw_dataset_read(dataset, 0, count, found), RW_OK);
    assert_memory_equal(found, tokens, count);
    free(found);
    assert_int_equal(index->document_count, documents);
    rw_dataset_close(&dataset);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void assert_text(const char *text, uint64_t documents)
{
    assert_dataset(text, strlen(text), documents);
}

static rw_status build(const char *path, const rw_dataset_options *options)
{
    const char *out = in_folder("out.h5");
    return rw_dataset_build(out, &path, 1, options);
}

static void assert_built(const char *name, const char *format)
{
    rw_status status = build_from("out.h5", name, format, 0.1);
    if (status != RW_OK) fail_msg("%s: %s", name, rw_message());
}

/* What is said on standard error between the two goes to a file. */
static int standard_error;

static void listen(void)
{
    fflush(stderr);
    standard_error = dup(STDERR_FILENO);
    int file = open(in_folder("said"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(file, STDERR_FILENO);
    close(file);
    rw_log_speak(true);
}

static void assert_said(const char *const *parts)
{
    rw_log_speak(false);
    fflush(stderr);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    size_t bytes;
    char *said = (char *)read_file("said", &bytes);
    said[bytes] = '\0';
    for (; *parts; parts++)
        if (!strstr(said, *parts)) fail_msg("'%s' is not in '%s'", *parts, said);
    free(said);
}

/* ---- compression ---- */

static void streams_and_frames_are_joined(void **state)
{
    (void)state;
    const size_t count = 300001;
    uint8_t *bytes = make_bytes(count, 3);
    write_gzip("in.gz", bytes, count, 5);
    write_zstd("in.zst", bytes, count, 5);
    write_xz("in.xz", bytes, count, 5);
    write_bzip2("in.bz2", bytes, count, 5);
    const char *const names[] = {"in.gz", "in.zst", "in.xz", "in.bz2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_built(names[i], "bytes");
        assert_dataset(bytes, count, 1);
    }
    free(bytes);
}

/* The end of a block of a tape or a disk. */
static void zeros_after_gzip_are_padding(void **state)
{
    (void)state;
    static const uint8_t zeros[1000];
    write_gzip("in.gz", (const uint8_t *)"one", 3, 1);
    append_file("in.gz", zeros, sizeof zeros);
    assert_built("in.gz", "auto");
    assert_text("one", 1);
    write_gzip("more.gz", (const uint8_t *)"two", 3, 1);
    size_t size;
    uint8_t *more = read_file("more.gz", &size);
    append_file("in.gz", more, size);
    append_file("in.gz", zeros, 1);
    free(more);
    assert_built("in.gz", "auto");
    assert_text("onetwo", 1);
    append_file("in.gz", "x", 1);
    assert_message(build_from("out.h5", "in.gz", "auto", 0.1), RW_ERROR, "in.gz is damaged");
}

/* Compresses in a stream: the frame does not state its size. */
static size_t stream_frame(const char *text, int window, uint8_t *out, size_t size)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window);
    ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, window > 27);
    ZSTD_outBuffer to = {out, size, 0};
    ZSTD_inBuffer from = {text, strlen(text), 0};
    assert_true(!ZSTD_isError(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush)));
    assert_int_equal(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0);
    ZSTD_freeCCtx(context);
    return to.pos;
}

static void zstd_frames_of_every_kind_are_read(void **state)
{
    (void)state;
    uint8_t packed[256];
    static const uint8_t skippable[] = {0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};
    write_file("in", skippable, sizeof skippable);
    append_file("in", packed, stream_frame("one", 10, packed, sizeof packed));
    append_file("in", skippable, sizeof skippable);
    append_file("in", packed, ZSTD_compress(packed, sizeof packed, "two", 3, 1));
    append_file("in", packed, stream_frame("three", 31, packed, sizeof packed));
    append_file("in", skippable, sizeof skippable);
    assert_built("in", "auto");
    assert_text("onetwothree", 1);
}

static void empty_compressed_inputs_are_empty(void **state)
{
    (void)state;
    uint8_t packed[256];
    write_gzip("in.gz", NULL, 0, 1);
    write_xz("in.xz", (const uint8_t *)"", 0, 1);
    write_bzip2("in.bz2", (const uint8_t *)"", 0, 1);
    write_file("in.zst", packed, ZSTD_compress(packed, sizeof packed, "", 0, 1));
    const char *const names[] = {"in.gz", "in.zst", "in.xz", "in.bz2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_message(build_from("out.h5", names[i], "auto", 0.1), RW_ERROR, "no tokens");
}

/* ---- formats that are not read ---- */

typedef struct {
    const char *name;
    size_t bytes;
    const char *content;
} sample;
#define SAMPLE(name, content)                                                                      \
    {                                                                                              \
        name, sizeof(content) - 1, content                                                         \
    }

static const sample binaries[] = {
    SAMPLE("a zip archive", "PK\3\4\x14\0\0\0\10\0abcdefghijklmnop\5\0\0\0a.txthello"),
    SAMPLE("an empty zip archive", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    SAMPLE("a document of Microsoft Office",
           "PK\3\4\x14\0\0\0\10\0abcdefghijklmnop\x13\0\0\0[Content_Types].xmlxx"),
    SAMPLE("NumPy arrays (.npz)", "PK\3\4\x14\0\0\0\10\0abcdefghijklmnop\5\0\0\0x.npy\x93NUMPY"),
    SAMPLE("a file of PyTorch",
           "PK\3\4\x14\0\0\0\10\0abcdefghijklmnop\x10\0\0\0archive/data.pkl\x80\2"),
    SAMPLE("a 7z archive", "7z\xbc\xaf\x27\x1c\0\4"),
    SAMPLE("a rar archive", "Rar!\x1a\7\1\0"),
    SAMPLE("an ar archive", "!<arch>\ndebian-binary   1"),
    SAMPLE("an lz4 file", "\x04\x22\x4d\x18\x64\x40"),
    SAMPLE("an lzip file", "LZIP\1\x0c"),
    SAMPLE("an lzma file", "]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0abc"),
    SAMPLE("a file of compress (.Z)", "\x1f\x9d\x90hello"),
    SAMPLE("a snappy file", "\xff\6\0\0sNaPpY\1"),
    SAMPLE("a PDF document", "%PDF-1.4\n%\xe2\xe3\n"),
    SAMPLE("a document of Microsoft Office", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0"),
    SAMPLE("a PNG image", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    SAMPLE("a JPEG image", "\xff\xd8\xff\xe0\0\x10JFIF"),
    SAMPLE("a GIF image", "GIF89a\1\0\1\0"),
    SAMPLE("a BMP image", "BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0"),
    SAMPLE("a TIFF image", "II*\0\10\0\0\0"),
    SAMPLE("a WAV sound", "RIFF\x24\0\0\0WAVEfmt \x10"),
    SAMPLE("a RIFF file", "RIFF\x24\0\0\0AVI LIST"),
    SAMPLE("an MP3 sound", "ID3\4\0\0\0\0\0\0"),
    SAMPLE("an MP4 file", "\0\0\0\x20"
                          "ftypisom"),
    SAMPLE("a program (ELF)", "\x7f"
                              "ELF\2\1\1\0"),
    SAMPLE("a program of Windows", "MZ\x90\0\3\0\0\0"),
    SAMPLE("an HDF5 file", "\x89HDF\r\n\x1a\n\3\10\10\0"),
    SAMPLE("a NumPy array (.npy)", "\x93NUMPY\1\0v\0{'descr': '<f4'"),
    SAMPLE("a Parquet table", "PAR1\x15\4\x15\x10"),
    SAMPLE("an Arrow table", "ARROW1\0\0\xff\xff\xff\xff"),
    SAMPLE("a stream of Arrow tables", "\xff\xff\xff\xff\x10\0\0\0\0\0\x0a\0"),
    SAMPLE("an SQLite database", "SQLite format 3\0\x10\0"),
    SAMPLE("a GGUF model", "GGUF\3\0\0\0"),
    SAMPLE("a safetensors file", "\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\"}}"),
    SAMPLE("a pickle of Python", "\x80\4\x95\x10\0\0\0"),
    SAMPLE("a file of MATLAB", "MATLAB 5.0 MAT-file, Platform: GLNXA64"),
    SAMPLE("a NetCDF file", "CDF\1\0\0\0\0"),
    SAMPLE("alignments (BAM)", "BAM\1\x10\0\0\0"),
    SAMPLE("text in UTF-32", "\xff\xfe\0\0h\0\0\0i\0\0\0"),
    SAMPLE("text in UTF-16", "\xff\xfeh\0i\0"),
    SAMPLE("text in UTF-16", "\xfe\xff\0h\0i"),
};

static const sample texts[] = {
    SAMPLE("a JSON array", "[{\"text\": \"a\"},\n {\"text\": \"b\"}]\n"),
    SAMPLE("a JSON array", "\xef\xbb\xbf\n [1, 2, 3]"),
    SAMPLE("a JSON array", "[1, 2]\n[3, 4]\n"),
    SAMPLE("JSON of several lines", "{\n  \"text\": \"a\",\n  \"id\": 1\n}\n"),
    SAMPLE("JSON of several lines", "\r\n{\r\n  \"a\": NaN,\r\n  \"b\": 1\r\n}\r\n"),
    SAMPLE("JSON of several lines",
           "{\"rows\": [\n  {\"text\": \"a\"},\n  {\"text\": \"b\"}\n]}\n"),
    SAMPLE("FASTQ", "@read 1\nACGT\n+\nIIII\n@read 2\nAC\n+\nII\n"),
    SAMPLE("GenBank", "LOCUS       X  4 bp\nDEFINITION  x\nORIGIN\n  1 acgt\n//\n"),
    SAMPLE("GenBank", "\n\nLOCUS       X  4 bp\r\nDEFINITION  x\r\n"),
    SAMPLE("EMBL or UniProt", "ID   X1; SV 1; linear\nXX\nAC   X1;\n"),
    SAMPLE("variants (VCF)", "##fileformat=VCFv4.2\n"),
    SAMPLE("alignments (SAM)", "@HD\tVN:1.6\tSO:coordinate\n"),
    SAMPLE("a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
    SAMPLE("an RTF document", "{\\rtf1\\ansi hello}"),
    SAMPLE("text in UTF-16", "h\0e\0l\0l\0o\0"),
};

static void binary_formats_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const formats[] = {"auto", "text", "jsonl", "fasta"};
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++) {
        const sample *s = &binaries[i];
        write_file("in.txt", s->content, s->bytes);
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
            assert_message(build_from("out.h5", "in.txt", formats[f], 0.1), RW_ERROR, s->name);
        assert_built("in.txt", "bytes");
        assert_dataset(s->content, s->bytes, 1);
    }
}

static void other_text_formats_are_refused_unless_text_is_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const sample *s = &texts[i];
        size_t mark = memcmp(s->content, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        static const char *const names[] = {"in", "in.txt", "in.json", "in.jsonl", "in.fa"};
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            write_file(names[n], s->content, s->bytes);
            assert_message(build_from("out.h5", names[n], "auto", 0.1), RW_ERROR, s->name);
        }
        assert_built("in", "text");
        assert_dataset(s->content + mark, s->bytes - mark, 1);
    }
}

/* A header block of the first tar, which has no magic. */
static size_t make_tar(uint8_t *out)
{
    memset(out, 0, 1024);
    strcpy((char *)out, "a.txt");
    strcpy((char *)out + 100, "0000644");
    strcpy((char *)out + 124, "00000000005");
    memset(out + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) sum += out[i];
    snprintf((char *)out + 148, 8, "%06o", sum);
    memcpy(out + 512, "hello", 5);
    return 1024;
}

static void packed_archives_are_refused_inside_compression(void **state)
{
    (void)state;
    uint8_t tar[1024], packed[2048];
    size_t count = make_tar(tar);
    write_file("plain", tar, count);
    write_gzip("in.gz", tar, count, 1);
    write_zstd("in.zst", tar, count, 1);
    write_xz("in.xz", tar, count, 1);
    write_bzip2("in.bz2", tar, count, 1);
    assert_message(build_from("out.h5", "plain", "auto", 0.1), RW_ERROR, "a tar archive, which");
    static const char *const names[] = {"in.gz", "in.zst", "in.xz", "in.bz2"};
    static const char *const messages[] = {"a tar archive inside gzip", "a tar archive inside zstd",
                                           "a tar archive inside xz", "a tar archive inside bzip2"};
    for (int i = 0; i < 4; i++)
        assert_message(build_from("out.h5", names[i], "text", 0.1), RW_ERROR, messages[i]);
    size_t size;
    uint8_t *once = read_file("in.xz", &size);
    write_file("twice", packed, ZSTD_compress(packed, sizeof packed, once, size, 1));
    free(once);
    assert_message(build_from("out.h5", "twice", "text", 0.1), RW_ERROR, "xz data inside zstd");
}

static void a_dataset_is_not_read_as_text(void **state)
{
    (void)state;
    write_text("in", "some text");
    assert_built("in", "auto");
    assert_int_equal(rename(in_folder("out.h5"), in_folder("in.h5")), 0);
    assert_message(build_from("out.h5", "in.h5", "auto", 0.1), RW_ERROR,
                   "in.h5 is a dataset that ropewalk built");
}

static void unknown_bytes_are_no_text(void **state)
{
    (void)state;
    static const sample cases[] = {
        SAMPLE("(byte 0x00 at 4)", "text\0text"),
        SAMPLE("(byte 0x01 at 0)", "\1\2\3\4 some"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("in.txt", cases[i].content, cases[i].bytes);
        assert_message(build_from("out.h5", "in.txt", "auto", 0.1), RW_ERROR, cases[i].name);
        assert_built("in.txt", "text");
        assert_dataset(cases[i].content, cases[i].bytes, 1);
    }
}

/* What only resembles a format stays text; bad lines do not hide a format. */
static void content_is_told_beyond_the_first_line(void **state)
{
    (void)state;
    static const struct {
        const char *format, *content;
    } cases[] = {
        {"text", "[Music] hello\n"},
        {"text", "[1] See the appendix\n[2] Ibid.\n"},
        {"text", "{\n  return;\n}\n"},
        {"text", "> you said\nYes, I did so.\n> and then\nNothing else to say.\n"},
        {"text", "> a quote\nwords of letters only\n"},
        {"text", "@decorator\ndef\n"},
        {"text", "BM is short for benchmark\nPAR1 and GIF89a, ORC and MZ\n"},
        {"text", "LOCUS of control\n"},
        {"text", "caf\xe9 in Latin-1\f\n\x1b[1mbold\x1b[0m\n"},
        {"jsonl", "\xef\xbb\xbf{\"text\": \"a\"}\n{\"text\": \"b\"}\n"},
        {"jsonl", "\n \r\n{\"text\": \"a\"}\n"},
        {"jsonl", "{\"text\": \"a\"}\r{\"text\": \"b\"}\r"},
        {"jsonl", "{\"text\": \"cut\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n"},
        {"jsonl", "{\"text\": \"the only line, cut"},
        {"fasta", "\xef\xbb\xbf>a\nACGT\n"},
        {"fasta", "\n\n;comment\n>a\r\nACGT\r\n"},
        {"fasta", ">a\rACGT\r>b\rAC\r"},
        {"fasta", ">a\nACGT\nAC5T\n"},
        {"fasta", ">a\nAC5T\nACGT\nACGT\nACGT\nACGT\n"},
        {"fasta", ">a\nACGTACGTAC GTACGTACGT\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rw_input *input;
        const rw_reader *reader;
        write_text("in", cases[i].content);
        assert_int_equal(rw_input_open(in_folder("in"), &input), RW_OK);
        assert_int_equal(rw_reader_choose("auto", input, &reader), RW_OK);
        if (strcmp(reader->name, cases[i].format) != 0)
            fail_msg("'%s' is read as %s", cases[i].content, reader->name);
        rw_input_close(&input);
    }
}

static void each_input_is_reported(void **state)
{
    (void)state;
    write_text("a.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"c\"}\n");
    write_gzip("b", (const uint8_t *)"12345", 5, 1);
    write_text("c.txt", "{\"text\": \"ab\"}\n");
    write_text("d", "");
    const char *out = in_folder("out.h5"), *inputs[] = {in_folder("a.jsonl"), in_folder("b"),
                                                        in_folder("c.txt"), in_folder("d")};
    const rw_dataset_options options = {.replace = true, .heldout = 0.1};
    listen();
    assert_int_equal(rw_dataset_build(out, inputs, 4, &options), RW_OK);
    assert_said((const char *[]){
        "a.jsonl: jsonl, 2 documents, 3 tokens\n", "b: text in gzip, 1 document, 5 tokens\n",
        "c.txt is read as text, as its name says, but looks like jsonl",
        "c.txt: text, 1 document, 15 tokens\n", "d gives nothing to ", NULL});
}

/* ---- lines ---- */

static void marks_are_no_text(void **state)
{
    (void)state;
    write_text("in", "\xef\xbb\xbfplain \xef\xbb\xbf.");
    assert_built("in", "auto");
    assert_text("plain \xef\xbb\xbf.", 1);
    assert_built("in", "bytes");
    assert_text("\xef\xbb\xbfplain \xef\xbb\xbf.", 1);
    static const char lines[] = "\xef\xbb\xbf{\"text\": \"a\"}\n\xef\xbb\xbf{\"text\": \"b\"}";
    write_text("in", lines);
    assert_built("in", "auto");
    assert_text("ab", 2);
    static const char records[] = "\xef\xbb\xbf>a\nAC\n\xef\xbb\xbf>b\nGT\n";
    write_text("in", records);
    assert_built("in", "auto");
    assert_dataset("\0\1\2\3", 4, 2);
    write_text("in", ">a\nAC\n\xef\xbb");
    assert_message(build_from("out.h5", "in", "fasta", 0), RW_ERROR, "in:3: byte 0xef");
}

/* Line ends of every kind, in files longer than the buffers. */
static void lines_end_with_lf_crlf_or_cr(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n", "\r", "\n\r"};
    enum { LINES = 30000 };
    char *text = malloc(LINES * 32), *bases = malloc(LINES * 2);
    uint8_t *tokens = malloc(LINES * 2);
    for (int i = 0; i < LINES * 2; i++) {
        bases[i] = i % 2 ? 'b' : 'a';
        tokens[i] = (uint8_t)(i % 2);
    }
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
        size_t used = 0;
        for (int i = 0; i < LINES; i++)
            used += (size_t)sprintf(text + used, "{\"text\": \"ab\"}%s", ends[e]);
        write_file("in", text, used);
        assert_built("in", "auto");
        assert_dataset(bases, LINES * 2, LINES);
        used = 0;
        for (int i = 0; i < LINES; i++)
            used += (size_t)sprintf(text + used, ">r%sa%sC%s", ends[e], ends[e], ends[e]);
        write_file("in", text, used);
        assert_built("in", "auto");
        assert_dataset(tokens, LINES * 2, LINES);
    }
    free(text);
    free(bases);
    free(tokens);
}

static void line_numbers_count_each_end_once(void **state)
{
    (void)state;
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
        char text[256];
        int used = snprintf(text, sizeof text, "{\"text\": \"a\"}%s%s{\"text\"%s", ends[e], ends[e],
                            ends[e]);
        write_file("in", text, (size_t)used);
        assert_message(build_from("out.h5", "in", "jsonl", 0), RW_ERROR, "in:3: not JSON");
        used = snprintf(text, sizeof text, ">a%s%sACGT%sA1", ends[e], ends[e], ends[e]);
        write_file("in", text, (size_t)used);
        assert_message(build_from("out.h5", "in", "fasta", 0), RW_ERROR, "in:4: '1'");
    }
}

static void bad_lines_can_be_left_out(void **state)
{
    (void)state;
    static const char lines[] = "{\"text\": \"one\"}\n"
                                "{\"text\": 5}\n"
                                "{\"text\": \"cut\n"
                                "\n"
                                "[\"text\"]\n"
                                "{\"text\": \"not UTF-8 \xff\"}\n"
                                "{\"other\": \"x\"}\n"
                                "{\"text\": \"x\"} y\n"
                                "{\"text\": \"two\"}";
    write_text("in", lines);
    const rw_dataset_options options = {.replace = true, .format = "jsonl", .skip_bad = true};
    listen();
    assert_int_equal(build(in_folder("in"), &options), RW_OK);
    assert_said((const char *[]){
        "in: jsonl, 2 documents, 6 tokens, 6 bad lines\n", "6 bad lines were",
        "in:2: field 'text' is not a string", "in:3: not JSON: it ends inside a string (column 14)",
        "in:5: not a JSON object", "in:6: not JSON: a string that is not UTF-8",
        "in:7: no field 'text'", NULL});
    assert_text("onetwo", 2);
    write_text("in", "{\"text\": 5}\n");
    assert_message(build(in_folder("in"), &options), RW_ERROR,
                   "1 bad lines were left out, the first is ");
}

/* A record is split where a letter is left out: its parts did not follow one another. */
static void bad_letters_can_be_left_out(void **state)
{
    (void)state;
    write_text("in", "AC\n>a\n1AC..GT1\n2\nA\n\xefT\n>b\n\xff\xff\n>c\nA");
    const rw_dataset_options options = {.replace = true, .format = "fasta", .skip_bad = true};
    listen();
    assert_int_equal(build(in_folder("in"), &options), RW_OK);
    assert_said((const char *[]){"in: fasta, 6 documents, 7 tokens, 5 bad lines\n",
                                 "in:1: not FASTA", "in:3: '1' is not a sequence letter",
                                 "in:4: '2'", "in:6: byte 0xef", "in:8: byte 0xff", NULL});
    /* AC|GT|A|T, nothing, A */
    assert_dataset("\0\1\2\3\0\3\0", 7, 6);
    assert_message(build_from("out.h5", "in", "fasta", 0), RW_ERROR, "--skip-bad leaves such");
}

/* ---- JSON ---- */

static void numbers_of_any_size_are_accepted(void **state)
{
    (void)state;
    static const char lines[] =
        "{\"id\": 123456789012345678901234567890, \"text\": \"a\", \"x\": [1e999, -1E-999, 0.1]}\n"
        "{\"a\\u0000b\": 0, \"text\": \"b\"}\n";
    write_text("in", lines);
    assert_built("in", "auto");
    assert_text("ab", 2);
}

static void fields_in_fields_are_found(void **state)
{
    (void)state;
    static const char lines[] = "{\"a\": {\"b\": \"in\"}}\n"
                                "{\"a\": {\"b\": \"no\"}, \"a.b\": \"exact\"}\n"
                                "{\"a\": 1, \"a\": {\"b\": \"x\", \"b\": \"last\"}}\n"
                                "{\"\\u0061\" : {\"c\": {\"b\": 1}, \"b\" :\t\"escaped\"}}\n";
    write_text("in", lines);
    rw_dataset_options options = {.replace = true, .format = "jsonl", .field = "a.b"};
    assert_int_equal(build(in_folder("in"), &options), RW_OK);
    assert_text("inexactlastescaped", 4);
    options.field = "a.b.c";
    assert_message(build(in_folder("in"), &options), RW_ERROR, "in:1: no field 'a.b.c'");
    static const char deep[] = "{\"a\": {\"b.c\": \"dot\"}}\n{\"a\": {\"b\": {\"c\": \"deep\"}}}\n";
    write_text("in", deep);
    assert_int_equal(build(in_folder("in"), &options), RW_OK);
    assert_text("dotdeep", 2);
}

static void lone_surrogates_are_replaced_and_counted(void **state)
{
    (void)state;
    static const char lines[] = "{\"text\": \"\\ud83d\\ude00|\\ud800|\\udc00\\ud800\\u0041\"}\n"
                                "{\"text\": \"\\uD800\\uD83D\\uDE00\", \"x\": \"\\ud800\"}\n";
    write_text("in", lines);
    listen();
    assert_built("in", "auto");
    assert_said((const char *[]){"4 lone surrogates (\\ud800 to \\udfff) became U+FFFD", NULL});
#define REPLACED "\xef\xbf\xbd"
#define SMILE    "\xf0\x9f\x98\x80"
    assert_text(SMILE "|" REPLACED "|" REPLACED REPLACED "A" REPLACED SMILE, 2);
}

static void json_is_checked(void **state)
{
    (void)state;
    static const char *const whole[] = {
        "{}",
        "[]",
        " {\"a\" : [ ] }",
        "[1,2.5,-0,0e1,1E+2,-1.5e-3]",
        "\"\\\"\\\\\\/\\b\\u00e9\"",
        "true",
        "null",
        "[false]",
        "[[[[[[]]]]]]",
        "\"\xf4\x8f\xbf\xbf\"",
        "\"\"",
        "0",
        "{\"\":\"\"}",
        "[\"\xed\x9f\xbf\"]",
        "[\"\x7f\"]",
    };
    static const char *const cut[] = {"",        " ",           "{",   "{\"a", "{\"a\"",
                                      "{\"a\":", "{\"a\":1",    "[1,", "[tr",  "\"\\",
                                      "\"\\u12", "[\"\xf0\x9f", "[-",  "[1.",  "[1e"};
    static const char *const wrong[] = {
        "}",
        "{a}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{,}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[01]",
        "[+1]",
        "[.5]",
        "[1.]",
        "[1e]",
        "[--1]",
        "[NaN]",
        "[trux]",
        "[1}",
        "{\"a\":1]",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "[\"\xff\"]",
        "[\"\xc0\x80\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xe0\x9f\xbf\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[\"\xf0\x8f\xbf\xbf\"]",
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        rw_json_scan scan = rw_json_check((const uint8_t *)whole[i], strlen(whole[i]));
        if (scan.state != RW_JSON_WHOLE || scan.used != strlen(whole[i]))
            fail_msg("%s is not accepted", whole[i]);
    }
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
        if (rw_json_check((const uint8_t *)cut[i], strlen(cut[i])).state != RW_JSON_CUT)
            fail_msg("%s is not cut", cut[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (rw_json_check((const uint8_t *)wrong[i], strlen(wrong[i])).state != RW_JSON_WRONG)
            fail_msg("%s is accepted", wrong[i]);
    char deep[20000];
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    assert_int_equal(rw_json_check((uint8_t *)deep + 5000, 10000).state, RW_JSON_WHOLE);
    assert_int_equal(rw_json_check((uint8_t *)deep, 20000).state, RW_JSON_WRONG);
}

/* ---- pipes ---- */

/* Writes to a pipe in pieces of 1, 2, 4, ... bytes, so that readings end anywhere. */
typedef struct {
    const char *path;
    const uint8_t *bytes;
    size_t count;
} feed;

static void *feed_pipe(void *argument)
{
    const feed *f = argument;
    int pipe = open(f->path, O_WRONLY);
    for (size_t at = 0, piece = 1; at < f->count;
         at += piece, piece = piece < 30000 ? 2 * piece : 1)
        if (write(pipe, f->bytes + at, piece < f->count - at ? piece : f->count - at) < 0) break;
    close(pipe);
    return NULL;
}

static rw_status build_from_pipe(const uint8_t *bytes, size_t count, const char *format)
{
    pthread_t thread;
    char path[4352];
    snprintf(path, sizeof path, "%s", in_folder("pipe"));
    assert_int_equal(mkfifo(path, 0600), 0);
    feed f = {path, bytes, count};
    pthread_create(&thread, NULL, feed_pipe, &f);
    rw_status status = build_from("out.h5", "pipe", format, 0.1);
    pthread_join(thread, NULL);
    unlink(path);
    return status;
}

static void assert_source(uint64_t size, uint64_t hash)
{
    rw_dataset *dataset;
    assert_int_equal(rw_dataset_open(in_folder("out.h5"), &dataset), RW_OK);
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    assert_int_equal(index->source_sizes[0], size);
    assert_int_equal(index->source_hashes[0], hash);
    rw_dataset_close(&dataset);
}

static void pipes_are_read_once_and_whole(void **state)
{
    (void)state;
    const size_t count = 400001;
    uint8_t *bytes = make_bytes(count, 5);
    assert_int_equal(build_from_pipe(bytes, count, "bytes"), RW_OK);
    assert_dataset(bytes, count, 1);
    assert_source(count, rw_hash(bytes, count));
    write_xz("in.xz", bytes, count, 3);
    size_t size;
    uint8_t *packed = read_file("in.xz", &size);
    assert_int_equal(build_from_pipe(packed, size, "bytes"), RW_OK);
    assert_dataset(bytes, count, 1);
    assert_source(size, rw_hash(packed, size));
    free(packed);
    free(bytes);
}

/* Letters are read twice: for the alphabet, then for the tokens. */
static void letters_from_a_pipe_are_whole(void **state)
{
    (void)state;
    const size_t count = 300000;
    uint8_t *records = malloc(count + 1), *tokens = malloc(count);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        records[i] = i % 60 == 0 ? '>' : '\n';
        if (i % 60 < 2 || i % 60 == 59) continue; /* ">", line end, 57 letters, line end */
        tokens[used] = i < 290000 ? (uint8_t)(i % 4) : 4;
        records[i] = (uint8_t) "ACGTN"[tokens[used++]];
    }
    assert_int_equal(build_from_pipe(records, count, "auto"), RW_OK);
    assert_dataset(tokens, used, count / 60);
    assert_source(count, rw_hash(records, count));
    write_gzip("in.gz", records, count, 2);
    size_t size;
    uint8_t *packed = read_file("in.gz", &size);
    assert_int_equal(build_from_pipe(packed, size, "auto"), RW_OK);
    assert_dataset(tokens, used, count / 60);
    assert_source(size, rw_hash(packed, size));
    free(packed);
    free(records);
    free(tokens);
}

static void standard_input_has_two_names(void **state)
{
    (void)state;
    static const char *const names[] = {"-", "/dev/stdin"};
    int before = dup(STDIN_FILENO), ends[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], "piped", 5), 5);
        close(ends[1]);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        const rw_dataset_options options = {.replace = true, .heldout = 0.1};
        assert_int_equal(build(names[i], &options), RW_OK);
        assert_text("piped", 1);
    }
    write_text("in", "12345");
    int file = open(in_folder("in"), O_RDONLY);
    assert_int_equal(lseek(file, 2, SEEK_SET), 2);
    dup2(file, STDIN_FILENO); /* as after `read line` in a shell: the rest */
    close(file);
    const rw_dataset_options options = {.replace = true, .heldout = 0.1};
    assert_int_equal(build("-", &options), RW_OK);
    assert_text("345", 1);
    dup2(before, STDIN_FILENO);
    close(before);
}

static void a_pipe_cannot_be_named_twice(void **state)
{
    (void)state;
    int ends[2];
    char first[64], second[64];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped", 5), 5);
    close(ends[1]);
    snprintf(first, sizeof first, "/dev/fd/%d", ends[0]);
    snprintf(second, sizeof second, "/proc/self/fd/%d", ends[0]);
    const char *out = in_folder("out.h5"), *inputs[] = {first, second};
    const rw_dataset_options options = {.replace = true, .heldout = 0.1};
    assert_message(rw_dataset_build(out, inputs, 2, &options), RW_USAGE, "are the same pipe");
    close(ends[0]);
}

/* Does the process hold the file open? */
static bool has_open(pid_t process, const char *path)
{
    char folder_path[64], target[4352];
    snprintf(folder_path, sizeof folder_path, "/proc/%d/fd", (int)process);
    DIR *entries = opendir(folder_path);
    bool found = false;
    for (struct dirent *entry; entries && !found && (entry = readdir(entries));) {
        ssize_t length = readlinkat(dirfd(entries), entry->d_name, target, sizeof target - 1);
        if (length < 0) continue;
        target[length] = '\0';
        found = strcmp(target, path) == 0;
    }
    if (entries) closedir(entries);
    return found;
}

static void waiting_for_a_writer_ends_at_a_signal(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT};
    const char *path = in_folder("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int i = 0; i < 2; i++) {
        int result;
        pid_t child = fork();
        if (child == 0) {
            signal(signals[i], SIG_DFL);
            build_from("out.h5", "pipe", "auto", 0.1);
            _exit(9);
        }
        while (!has_open(child, path)) usleep(1000);
        kill(child, signals[i]);
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result) && WTERMSIG(result) == signals[i]);
    }
    assert_int_equal(access(in_folder("out.h5"), F_OK), -1);
}

static void no_allocation_is_lost(void **state)
{
    (void)state;
    write_text("in", "{\"text\": \"a\"}\n{\"a\": 1}\n");
    const rw_dataset_options options = {.replace = true, .heldout = 0.1, .skip_bad = true};
    int ends[2];
    size_t before = rw_memory_in_use();
    rw_status status = RW_ERROR;
    for (long n = 1; status != RW_OK; n++) {
        assert_true(n < 200);
        char path[64];
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], ">a\nACGT\n", 8), 8);
        close(ends[1]);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        rw_memory_fail_after(n);
        status = build(path, &options);
        if (status == RW_OK) status = build(in_folder("in"), &options);
        rw_memory_fail_after(0);
        close(ends[0]);
        assert_int_equal(rw_memory_in_use(), before);
        if (status != RW_OK) assert_non_null(strstr(rw_message(), "memory"));
        rw_clear_message();
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    rw_log_speak(false);
    const struct CMUnitTest tests[] = {
        IN_FOLDER(streams_and_frames_are_joined),
        IN_FOLDER(zeros_after_gzip_are_padding),
        IN_FOLDER(zstd_frames_of_every_kind_are_read),
        IN_FOLDER(empty_compressed_inputs_are_empty),
        IN_FOLDER(binary_formats_are_refused_by_name),
        IN_FOLDER(other_text_formats_are_refused_unless_text_is_asked_for),
        IN_FOLDER(packed_archives_are_refused_inside_compression),
        IN_FOLDER(a_dataset_is_not_read_as_text),
        IN_FOLDER(unknown_bytes_are_no_text),
        IN_FOLDER(content_is_told_beyond_the_first_line),
        IN_FOLDER(each_input_is_reported),
        IN_FOLDER(marks_are_no_text),
        IN_FOLDER(lines_end_with_lf_crlf_or_cr),
        IN_FOLDER(line_numbers_count_each_end_once),
        IN_FOLDER(bad_lines_can_be_left_out),
        IN_FOLDER(bad_letters_can_be_left_out),
        IN_FOLDER(numbers_of_any_size_are_accepted),
        IN_FOLDER(fields_in_fields_are_found),
        IN_FOLDER(lone_surrogates_are_replaced_and_counted),
        cmocka_unit_test(json_is_checked),
        IN_FOLDER(pipes_are_read_once_and_whole),
        IN_FOLDER(letters_from_a_pipe_are_whole),
        IN_FOLDER(standard_input_has_two_names),
        IN_FOLDER(a_pipe_cannot_be_named_twice),
        IN_FOLDER(waiting_for_a_writer_ends_at_a_signal),
        IN_FOLDER(no_allocation_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
