/* Files of the tests of data_pipeline: a folder of their own, inputs plain and
 * compressed. */
#ifndef RW_TESTS_DATA_FILES_H
#define RW_TESTS_DATA_FILES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <bzlib.h>
#include <dirent.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/random.h"
#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_file.h"

static char folder[4096];

static inline int make_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/ropewalk-data-XXXXXX", base ? base : "/tmp");
    rw_clear_message();
    return mkdtemp(folder) ? 0 : -1;
}

/* The path of a file in the folder; a few may be in use at once. */
static inline const char *in_folder(const char *name)
{
    static char paths[32][4352];
    static int next;
    char *path = paths[next++ % 32];
    snprintf(path, sizeof *paths, "%s/%s", folder, name);
    return path;
}

static inline int remove_folder(void **state)
{
    (void)state;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        unlink(in_folder(entry->d_name));
    if (entries) closedir(entries);
    return rmdir(folder);
}

static inline void write_file(const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static inline uint8_t *read_file(const char *name, size_t *count)
{
    FILE *file = fopen(in_folder(name), "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*count + 1);
    assert_int_equal(fread(bytes, 1, *count, file), *count);
    fclose(file);
    return bytes;
}

/* In `members` pieces, each a gzip member or a zstd frame of its own. */
static inline void write_gzip(const char *name, const uint8_t *bytes, size_t count, int members)
{
    for (int m = 0; m < members; m++) {
        gzFile file = gzopen(in_folder(name), m ? "ab" : "wb");
        size_t begin = count * (size_t)m / (size_t)members;
        size_t end = count * (size_t)(m + 1) / (size_t)members;
        if (end > begin)
            assert_int_equal(gzwrite(file, bytes + begin, (unsigned)(end - begin)), end - begin);
        assert_int_equal(gzclose(file), Z_OK);
    }
}

static inline void write_zstd(const char *name, const uint8_t *bytes, size_t count, int frames)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    for (int m = 0; m < frames; m++) {
        size_t begin = count * (size_t)m / (size_t)frames;
        size_t end = count * (size_t)(m + 1) / (size_t)frames;
        size_t bound = ZSTD_compressBound(end - begin);
        uint8_t *frame = malloc(bound);
        size_t made = ZSTD_compress(frame, bound, bytes + begin, end - begin, 1);
        assert_int_equal(fwrite(frame, 1, made, file), made);
        free(frame);
    }
    fclose(file);
}

/* In `streams` pieces, each an xz stream of its own with padding after it. */
static inline void write_xz(const char *name, const uint8_t *bytes, size_t count, int streams)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    for (int m = 0; m < streams; m++) {
        size_t begin = count * (size_t)m / (size_t)streams;
        size_t end = count * (size_t)(m + 1) / (size_t)streams;
        size_t bound = lzma_stream_buffer_bound(end - begin), made = 0;
        uint8_t *packed = malloc(bound);
        assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, bytes + begin,
                                                 end - begin, packed, &made, bound),
                         LZMA_OK);
        assert_int_equal(fwrite(packed, 1, made, file), made);
        if (streams > 1) assert_int_equal(fwrite("\0\0\0\0", 1, 4, file), 4);
        free(packed);
    }
    fclose(file);
}

/* In `streams` pieces, each a bzip2 stream of its own, as pbzip2 writes. */
static inline void write_bzip2(const char *name, const uint8_t *bytes, size_t count, int streams)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    for (int m = 0; m < streams; m++) {
        size_t begin = count * (size_t)m / (size_t)streams;
        size_t end = count * (size_t)(m + 1) / (size_t)streams;
        unsigned made = (unsigned)((end - begin) * 2 + 1000);
        char *packed = malloc(made);
        assert_int_equal(BZ2_bzBuffToBuffCompress(packed, &made, (char *)(uintptr_t)bytes + begin,
                                                  (unsigned)(end - begin), 1, 0, 0),
                         BZ_OK);
        assert_int_equal(fwrite(packed, 1, made, file), made);
        free(packed);
    }
    fclose(file);
}

static inline void append_file(const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(in_folder(name), "ab");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

/* Bytes that compress a little; the same for the same seed. */
static inline uint8_t *make_bytes(size_t count, uint64_t seed)
{
    rw_random stream = rw_random_stream(seed, RW_RANDOM_TEST, 0);
    uint8_t *bytes = malloc(count + 1);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(rw_random_bits(stream, i / 3) >> (i % 3 * 8) & (i % 7 ? 0x3f : 0xff));
    return bytes;
}

static inline rw_status build_from(const char *out, const char *input, const char *format,
                                   double heldout)
{
    const char *path = in_folder(out), *inputs[] = {in_folder(input)};
    const rw_dataset_options options = {.format = format, .heldout = heldout, .replace = true};
    return rw_dataset_build(path, inputs, 1, &options);
}

/* How many files of the folder have names that begin so. */
static inline int files_that_begin(const char *prefix)
{
    int count = 0;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (entries) closedir(entries);
    return count;
}

/* Changes the header of a dataset, and makes its hashes fit again. */
static inline void edit_header(const char *name, void (*edit)(rw_dataset_header *header))
{
    size_t count;
    rw_dataset_header header;
    uint8_t *bytes = read_file(name, &count);
    assert_int_equal(rw_dataset_header_read(bytes, count, count, name, &header), RW_OK);
    edit(&header);
    header.content_hash = rw_dataset_content_hash(&header);
    rw_dataset_header_write(&header, bytes);
    write_file(name, bytes, count);
    free(bytes);
}

/* A failure was the last thing to happen, and its message holds `part`. */
static inline void assert_message(rw_status status, rw_status expected, const char *part)
{
    assert_int_equal(status, expected);
    if (!strstr(rw_message(), part)) fail_msg("'%s' is not in '%s'", part, rw_message());
    rw_clear_message();
}

#endif
