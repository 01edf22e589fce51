/* Checkpoints made to do harm, by someone who knows the format: all hashes are right. They
 * are refused or read, and never crash, hang or take memory that they have no right to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>
#include <mpi.h>

#include "base/memory.h"
#include "base/random.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/chunk_index.h"
#include "checkpoints/tensor_stream.h"
#include "storage/content_hash.h"
#include "tests/checkpoint_fixture.h"
#include "train/shape_check.h"
#include "train/state.h"

static const char *step_folder(state *s)
{
    return join(s->dir, "step-00000002");
}

static rw_manifest *manifest_of(state *s)
{
    rw_manifest *manifest;
    bool damaged;
    assert_int_equal(rw_manifest_load(step_folder(s), &manifest, &damaged), RW_OK);
    return manifest;
}

/* Writes the manifest with its hash, and frees it. */
static void put_manifest(state *s, rw_manifest **manifest)
{
    char *text;
    size_t size;
    assert_int_equal(rw_manifest_write(*manifest, &text, &size), RW_OK);
    file_put(join(step_folder(s), RW_MANIFEST_FILE), text, size);
    rw_free(&text);
    rw_manifest_destroy(manifest);
}

/* Puts other bytes into data-0.h5, and makes all hashes right again. */
static void put_data(state *s, const unsigned char *bytes, size_t size)
{
    rw_manifest *manifest = manifest_of(s);
    file_put(join(step_folder(s), "data-0.h5"), bytes, size);
    manifest->files[0].bytes = size;
    manifest->files[0].hash = rw_hash(bytes, size);
    for (size_t i = 0; i < manifest->segment_count; i++) {
        rw_extent *segment = &manifest->segments[i];
        if (segment->offset + segment->bytes <= size)
            segment->hash = rw_hash(bytes + segment->offset, segment->bytes);
    }
    put_manifest(s, &manifest);
}

/* Expects that the checkpoint is refused, or read with the values of step 2. */
static void expect_harmless(state *s)
{
    rw_checkpoint *checkpoint;
    rw_clear_message();
    rw_status status = rw_checkpoint_open(step_folder(s), &checkpoint);
    if (status == RW_OK) status = rw_checkpoint_read(checkpoint, s->tensors, STATE_TENSORS);
    rw_checkpoint_close(&checkpoint);
    if (status == RW_OK)
        state_expect(s, step_folder(s), 2);
    else
        assert_non_null(strstr(rw_message(), "damaged"));
    rw_clear_message();
}

static void changed_bytes_with_right_hashes_are_harmless(void **in)
{
    state *s = *in;
    char path[PATH_SIZE];
    size_t size;
    state_save(s, 2, 2);
    strcpy(path, join(step_folder(s), "data-0.h5"));
    unsigned char *bytes = file_contents(path, &size);
    static const unsigned char values[] = {0, 1, 0x7f, 0xff};
    for (size_t i = 0; i < size; i += 3) { /* 3: fields of 2, 4 and 8 bytes are all hit */
        unsigned char kept = bytes[i];
        bytes[i] = values[i % sizeof values] == kept ? kept ^ 0x80 : values[i % sizeof values];
        put_data(s, bytes, size);
        expect_harmless(s);
        bytes[i] = kept;
    }
    put_data(s, bytes, size);
    state_expect(s, step_folder(s), 2);
    free(bytes);
}

static void random_files_with_right_hashes_are_harmless(void **in)
{
    state *s = *in;
    size_t size;
    state_save(s, 2, 2);
    unsigned char *bytes = file_contents(join(step_folder(s), "data-0.h5"), &size);
    unsigned char *other = malloc(size);
    for (uint64_t trial = 0; trial < 300; trial++) {
        rw_random stream = rw_random_stream(5, RW_RANDOM_TEST, trial);
        memcpy(other, bytes, size);
        for (uint64_t i = 0; i < 40; i++) {
            size_t at = rw_random_below(stream, 3 * i, size - 8), n = 1 + i % 8;
            uint64_t word = rw_random_bits(stream, 3 * i + 1);
            if (i % 3 == 0) word = rw_random_below(stream, 3 * i + 2, 300);
            memcpy(other + at, &word, n);
        }
        put_data(s, other, size - (trial % 5 == 0 ? size / 2 : 0));
        expect_harmless(s);
        put_data(s, bytes, size);
    }
    free(other);
    free(bytes);
}

/* ---- Manifests -------------------------------------------------------------------- */

static void first_shape(rw_manifest *m, size_t rows, size_t cols)
{
    rw_manifest_tensor *tensor = &m->tensors[0];
    tensor->shape[0] = rows;
    tensor->shape[1] = cols;
    m->segments[0].end = rows;
}

static void wide(rw_manifest *m)
{
    first_shape(m, 65536, 393216);
}
static void wider_than_memory(rw_manifest *m)
{
    first_shape(m, (size_t)1 << 40, 1);
}
static void too_wide(rw_manifest *m)
{
    first_shape(m, (size_t)1 << 32, (size_t)1 << 31);
}
static void empty_frames(rw_manifest *m)
{
    m->segments[0].bytes = 0;
}
static void same_place(rw_manifest *m)
{
    m->segments[1].offset = m->segments[0].offset;
}
static void beyond_the_file(rw_manifest *m)
{
    m->segments[0].offset = m->files[0].bytes - 1;
}
static void end_wraps(rw_manifest *m)
{
    m->segments[0].offset = RW_STEP_MAX;
    m->segments[0].bytes = RW_STEP_MAX;
}
static void other_file(rw_manifest *m)
{
    strcpy(m->files[0].name, "data-1.h5");
}
static void path_as_file(rw_manifest *m)
{
    strcpy(m->files[0].name, "/dev/null");
}
static void no_ranks(rw_manifest *m)
{
    m->about.dp = 0;
}
static void negative_threads(rw_manifest *m)
{
    m->about.threads = -1;
}

static void impossible_numbers_are_refused(void **in)
{
    static const struct {
        const char *name, *message;
        void (*forge)(rw_manifest *);
    } cases[] = {
        {"a shape of 96 GiB in a small file", "too short for its rows", wide},
        {"a shape of 4 TiB in a small file", "too short for its rows", wider_than_memory},
        {"a shape whose bytes overflow", "impossible shape", too_wide},
        {"no bytes", "too short for its rows", empty_frames},
        {"two segments at one place", "same place", same_place},
        {"frames beyond the file", "outside its file", beyond_the_file},
        {"an end that wraps", "outside its file", end_wraps},
        {"a file out of order", "list of files", other_file},
        {"a path as a file", "list of files", path_as_file},
        {"no ranks", "layout", no_ranks},
        {"negative threads", "layout", negative_threads},
    };
    state *s = *in;
    rw_checkpoint *checkpoint;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_save(s, 2, 2);
        rw_manifest *manifest = manifest_of(s);
        cases[i].forge(manifest);
        put_manifest(s, &manifest);
        size_t before = rw_memory_peak();
        if (rw_checkpoint_open(step_folder(s), &checkpoint) == RW_OK)
            fail_msg("%s: was believed", cases[i].name);
        expect_failure(RW_ERROR, cases[i].message);
        assert_in_range(rw_memory_peak(), before, before + (1 << 20));
        expect_failure(rw_checkpoint_verify(step_folder(s), stderr), cases[i].message);
        expect_failure(rw_checkpoint_export(step_folder(s), join(s->root, "out.h5"), true),
                       cases[i].message);
    }
}

/* 2^32 + 1 is not version 1. */
static void version_is_not_cut(void **in)
{
    state *s = *in;
    size_t size;
    char hash[RW_HASH_TEXT], path[PATH_SIZE], forged[65536];
    rw_checkpoint *checkpoint;
    state_save(s, 2, 2);
    strcpy(path, join(step_folder(s), RW_MANIFEST_FILE));
    char *text = (char *)file_contents(path, &size), *at = strstr(text, "\"version\": 1,");
    int body =
        snprintf(forged, sizeof forged, "%.*s\"version\": 4294967297,%.*s", (int)(at - text), text,
                 (int)(size - RW_MANIFEST_TAIL_BYTES - (size_t)(at - text) - 13), at + 13);
    int tail = snprintf(forged + body, sizeof forged - (size_t)body, RW_MANIFEST_TAIL,
                        rw_hash_text(rw_hash(forged, (size_t)body), hash));
    file_put(path, forged, (size_t)(body + tail));
    expect_failure(rw_checkpoint_open(step_folder(s), &checkpoint), "format version 4294967297");
    free(text);
}

/* What a checkpoint says of itself reaches the terminal as text. */
static void reports_hold_no_commands(void **in)
{
    state *s = *in;
    char *text;
    size_t size;
    state_fill(s, 2);
    s->meta.model = "tiny\x1b]0;title\a\nstep            99\xc2\x9b"
                    "31m";
    s->meta.config = "model:\n  title: \x1b[2J\xe2\x80\xae\n";
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2),
                     RW_OK);
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(rw_checkpoint_show(step_folder(s), out), RW_OK);
    assert_int_equal(rw_checkpoint_list(s->dir, out), RW_OK);
    assert_int_equal(rw_checkpoint_verify(step_folder(s), out), RW_OK);
    fclose(out);
    assert_null(strpbrk(text, "\x1b\a"));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_null(strstr(text, "\xe2\x80\xae"));
    assert_non_null(strstr(text,
                           "model           tiny\\x1b]0;title\\x07\\x0astep            99\\xc2"
                           "\\x9b31m\n"));
    assert_non_null(strstr(text, "  title: \\x1b[2J\\xe2\\x80\\xae\n"));
    free(text);
}

/* The configuration of a checkpoint asks for a model that its tensors are not of. */
static void shapes_are_compared_before_there_is_memory(void **in)
{
    static const struct {
        const char *config, *message;
    } cases[] = {
        {"{width: 8, tie_embeddings: true, blocks: [{mlp: gelu, expand: 1}]}", NULL},
        {"{width: 65536, blocks: [{mlp: gelu, expand: 64}]}",
         "embedding.weight has shape 16x8 there, and 16x65536 in the model"},
        {"{width: 8, blocks: [{mlp: gelu, expand: 64}]}", "has shape 8x8 there, and 512x8"},
        {"{width: 8, blocks: [{mlp: gelu, expand: 1}, {mlp: gelu}]}", "has shape none there"},
    };
    state *s = *in;
    const rw_format format = {.vocab = 16, .target_vocab = 16};
    rw_model *model;
    rw_checkpoint *checkpoint;
    rw_config *config;
    rw_state weights;
    state_fill(s, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(rw_config_parse(cases[i].config, "c", NULL, 0, &config), RW_OK);
        if (i == 0) {
            assert_int_equal(rw_model_new(config, &format, 1, false, &model), RW_OK);
            assert_int_equal(rw_state_new(model, NULL, &weights), RW_OK);
            assert_int_equal(
                rw_checkpoint_save(&s->layout, s->dir, &s->meta, weights.tensors, weights.count, 2),
                RW_OK);
            rw_state_free(&weights);
            rw_model_destroy(&model);
        }
        assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
        size_t peak = rw_memory_peak();
        rw_status status = rw_shapes_check(checkpoint, config, &format, "advice");
        if (cases[i].message)
            expect_failure(status, cases[i].message);
        else
            assert_int_equal(status, RW_OK);
        assert_int_equal(rw_memory_peak(), peak);
        rw_checkpoint_close(&checkpoint);
        rw_config_destroy(&config);
    }
}

/* ---- Chunks without HDF5 ----------------------------------------------------------- */

/* Expects that HDF5 has each chunk of the dataset where the index has it. */
static void expect_places(hid_t file, const rw_block *block, const rw_chunks *chunks,
                          const rw_chunk_place *places)
{
    hid_t dataset = H5Dopen2(file, block->name, H5P_DEFAULT);
    assert_true(dataset >= 0);
    hid_t space = H5Dget_space(dataset);
    hsize_t stored = 0;
    assert_true(H5Dget_num_chunks(dataset, space, &stored) >= 0);
    assert_int_equal(stored, chunks->count);
    H5Sclose(space);
    for (size_t i = 0; i < chunks->count; i++) {
        rw_chunk chunk = rw_chunk_at(block, chunks, i);
        hsize_t offset[RW_MAX_DIMS], bytes;
        haddr_t address;
        unsigned mask;
        for (int d = 0; d < block->dims; d++) offset[d] = chunk.offset[d];
        assert_true(H5Dget_chunk_info_by_coord(dataset, offset, &mask, &address, &bytes) >= 0);
        assert_int_equal(places[i].address, address);
        assert_int_equal(places[i].bytes, bytes);
    }
    H5Dclose(dataset);
}

static void expect_index(state *s, const rw_manifest *manifest, size_t file)
{
    char path[PATH_SIZE];
    size_t size;
    rw_chunk_index *index;
    strcpy(path, join(join(s->dir, "step-00000002"), manifest->files[file].name));
    unsigned char *bytes = file_contents(path, &size);
    hid_t hdf5 = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_int_equal(rw_chunk_index_new(bytes, size, &index), RW_OK);
    for (size_t i = 0; i < manifest->segment_count; i++) {
        const rw_extent *segment = &manifest->segments[i];
        if (segment->file != file) continue;
        rw_block block = rw_manifest_block(manifest, segment);
        rw_chunks chunks;
        rw_chunk_place *places;
        rw_chunks_plan(&block, RW_CHUNK_MAX_BYTES, &chunks);
        uint64_t end = segment->offset + segment->bytes;
        assert_int_equal(rw_chunk_index_find(index, &block, &chunks, segment->offset, end, &places),
                         RW_OK);
        assert_non_null(places);
        expect_places(hdf5, &block, &chunks, places);
        rw_free(&places);
        assert_int_equal(
            rw_chunk_index_find(index, &block, &chunks, segment->offset, end - 1, &places), RW_OK);
        assert_null(places);
    }
    rw_chunk_index_destroy(&index);
    H5Fclose(hdf5);
    free(bytes);
}

/* Datasets of many chunks, whose trees have several levels, and chunks of zeros that HDF5
 * stores between those of other datasets. */
static void chunks_are_where_hdf5_says(void **in)
{
    state *s = *in;
    enum { LONG = 12000000, SIZE = LONG + 4 * 300000 + 2000 };
    real *values = calloc(SIZE, sizeof(real));
    for (size_t i = 0; i < SIZE; i++)
        if (i / 200000 % 3 != 0)
            values[i] = (real)rw_random_bits(rw_random_stream(6, RW_RANDOM_TEST, 0), i / 16);
    rw_tensor tensors[] = {
        {.name = "param/a", .dims = 2, .shape = {1, LONG}, .data = values},
        {.name = "param/b", .dims = 2, .shape = {4, 300000}, .data = values + LONG},
        {.name = "param/c", .dims = 1, .shape = {10}, .data = values},
        {.name = "param/d", .dims = 3, .shape = {20, 10, 10}, .data = values + SIZE - 2000}};
    rw_checkpoint *checkpoint;
    real *read = malloc(LONG * sizeof(real));
    state_fill(s, 2);
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, tensors, 4, 2), RW_OK);
    rw_manifest *manifest = manifest_of(s);
    for (size_t file = 0; file + 1 < manifest->file_count; file++) expect_index(s, manifest, file);
    rw_manifest_destroy(&manifest);
    tensors[0].data = read;
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    assert_int_equal(rw_checkpoint_read(checkpoint, tensors, 1), RW_OK);
    assert_memory_equal(read, values, LONG * sizeof(real));
    rw_checkpoint_close(&checkpoint);
    free(read);
    free(values);
}

/* Reading opens nothing with HDF5. */
static void reading_does_without_hdf5(void **in)
{
    state *s = *in;
    size_t size;
    state_save(s, 2, 2);
    unsigned char *bytes = file_contents(join(step_folder(s), "data-0.h5"), &size);
    memset(bytes, 0, 96); /* no superblock: HDF5 would not open it */
    put_data(s, bytes, size);
    state_expect(s, step_folder(s), 2);
    assert_int_equal(rw_checkpoint_verify(step_folder(s), stderr), RW_OK);
    free(bytes);
}

int main(int argc, char **argv)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, state_setup, state_teardown)
    const struct CMUnitTest tests[] = {
        CASE(changed_bytes_with_right_hashes_are_harmless),
        CASE(random_files_with_right_hashes_are_harmless),
        CASE(impossible_numbers_are_refused),
        CASE(version_is_not_cut),
        CASE(reports_hold_no_commands),
        CASE(shapes_are_compared_before_there_is_memory),
        CASE(chunks_are_where_hdf5_says),
        CASE(reading_does_without_hdf5),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests_name("hostile checkpoints", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
