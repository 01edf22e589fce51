/* Checkpoints whose files were damaged after the save: all damage is found, file
 * and tensor are named, and an older checkpoint is used instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>

#include "base/random.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/checkpoint_reader.h"
#include "storage/content_hash.h"
#include "tests/checkpoint_fixture.h"

static const char *const stored[] = {"data-0.h5", "index.h5", "manifest.json"};
#define STORED 3

/* Expects that the checkpoint of step 2 is found damaged, in this file. */
static void expect_damage(state *s, const char *file, size_t at)
{
    rw_checkpoint *checkpoint;
    rw_status status = rw_checkpoint_open(join(s->dir, "step-00000002"), &checkpoint);
    if (status == RW_OK) fail_msg("damage of %s at byte %zu was not found", file, at);
    if (strcmp(file, "data-0.h5") == 0)
        assert_true(strstr(rw_message(), "tensor ") || strstr(rw_message(), "structures"));
    expect_failure(status, file);
}

static void every_flipped_bit_is_found(void **in)
{
    state *s = *in;
    state_save(s, 2, 2);
    for (int f = 0; f < STORED; f++) {
        char path[PATH_SIZE];
        size_t size;
        strcpy(path, join(join(s->dir, "step-00000002"), stored[f]));
        unsigned char *bytes = file_contents(path, &size);
        FILE *file = fopen(path, "r+b");
        setvbuf(file, NULL, _IONBF, 0);
        for (size_t i = 0; i < size; i++) {
            fseek(file, (long)i, SEEK_SET);
            fputc(bytes[i] ^ 1 << i % 8, file);
            expect_damage(s, stored[f], i);
            fseek(file, (long)i, SEEK_SET);
            fputc(bytes[i], file);
        }
        fclose(file);
        free(bytes);
    }
    state_expect(s, join(s->dir, "step-00000002"), 2);
}

static void every_truncation_is_found(void **in)
{
    state *s = *in;
    state_save(s, 2, 2);
    for (int f = 0; f < STORED; f++) {
        char path[PATH_SIZE];
        size_t size;
        strcpy(path, join(join(s->dir, "step-00000002"), stored[f]));
        unsigned char *bytes = file_contents(path, &size);
        for (size_t length = 0; length < size; length += 64) {
            file_put(path, bytes, length);
            expect_damage(s, stored[f], length);
        }
        file_put(path, bytes, size - 1);
        expect_damage(s, stored[f], size - 1);
        bytes[size] = ' ';
        file_put(path, bytes, size + 1);
        expect_damage(s, stored[f], size);
        assert_int_equal(unlink(path), 0);
        expect_damage(s, stored[f], 0);
        file_put(path, bytes, size);
        free(bytes);
    }
    state_expect(s, join(s->dir, "step-00000002"), 2);
}

/* Blocks of 4 KiB that the file system lost, in files of several of them. */
static void every_zeroed_block_is_found(void **in)
{
    state *s = *in;
    real values[30000];
    rw_tensor tensors[] = {
        {.name = "param/a", .dims = 2, .shape = {100, 100}, .data = values},
        {.name = "param/b", .dims = 1, .shape = {20000}, .data = values + 10000}};
    for (int i = 0; i < 30000; i++)
        values[i] = (real)rw_random_normal(rw_random_stream(1, RW_RANDOM_TEST, 0), (uint64_t)i);
    state_fill(s, 2);
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, tensors, 2, 2), RW_OK);
    char path[PATH_SIZE];
    size_t size;
    strcpy(path, join(s->dir, "step-00000002/data-0.h5"));
    unsigned char *bytes = file_contents(path, &size);
    for (size_t begin = 0; begin < size; begin += 4096) {
        unsigned char kept[4096];
        size_t length = size - begin < 4096 ? size - begin : 4096;
        memcpy(kept, bytes + begin, length);
        memset(bytes + begin, 0, length);
        file_put(path, bytes, size);
        expect_damage(s, "data-0.h5", begin);
        memcpy(bytes + begin, kept, length);
    }
    free(bytes);
}

/* The message names the tensor whose values are hit, not just any. */
static void damage_is_traced_to_its_tensor(void **in)
{
    state *s = *in;
    rw_checkpoint *checkpoint;
    bool damaged;
    state_save(s, 2, 2);
    char path[PATH_SIZE];
    strcpy(path, join(s->dir, "step-00000002/data-0.h5"));
    assert_int_equal(rw_checkpoint_load(join(s->dir, "step-00000002"), &checkpoint, &damaged),
                     RW_OK);
    for (size_t i = 0; i < STATE_TENSORS; i++) {
        const rw_extent *segment = &checkpoint->manifest->segments[i];
        size_t size, middle = segment->offset + segment->bytes / 2;
        unsigned char *bytes = file_contents(path, &size);
        bytes[middle] ^= 0x10;
        file_put(path, bytes, size);
        expect_damage(s, checkpoint->manifest->tensors[i].name, middle);
        bytes[middle] ^= 0x10;
        file_put(path, bytes, size);
        free(bytes);
    }
    rw_checkpoint_close(&checkpoint);
}

static void a_damaged_newest_is_passed_over(void **in)
{
    state *s = *in;
    for (uint64_t step = 1; step <= 3; step++) state_save(s, step, 3);
    assert_int_equal(truncate(join(s->dir, "step-00000003/data-0.h5"), 100), 0);
    state_expect_newest(s, 2);
    state_expect(s, join(s->root, "run"), 2);
    assert_int_equal(unlink(join(s->dir, "step-00000002/manifest.json")), 0);
    state_expect_newest(s, 1);
    state_save(s, 3, 3);
    state_expect_newest(s, 3);
}

/* Rewrites the manifest of step 2 with another text of the same length in
 * place of `from`, and a right hash. */
static void forge_manifest(state *s, const char *from, const char *to)
{
    const char *path = join(s->dir, "step-00000002/manifest.json");
    size_t size;
    char *text = (char *)file_contents(path, &size), *at = strstr(text, from);
    char hash[17];
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    size_t body = size - RW_MANIFEST_TAIL_BYTES;
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)rw_hash(text, body));
    snprintf(text + body, RW_MANIFEST_TAIL_BYTES + 1, RW_MANIFEST_TAIL, hash);
    file_put(path, text, size);
    free(text);
}

/* To go on from an older one would silently lose work. */
static void a_newer_format_is_not_passed_over(void **in)
{
    state *s = *in;
    char *path;
    rw_checkpoint *checkpoint;
    state_save(s, 1, 2);
    state_save(s, 2, 2);
    forge_manifest(s, "\"version\": 1", "\"version\": 9");
    expect_failure(rw_checkpoint_open(s->dir, &checkpoint), "format version 9");
    expect_failure(rw_checkpoint_find(&s->layout, s->dir, &path), "format version 9");
    assert_null(path);
}

/* Manifests that are wrong although their hash is right. */
static void impossible_manifests_are_refused(void **in)
{
    static const struct {
        const char *from, *to;
    } forged[] = {
        {"\"dtype\": \"float", "\"dtype\": \"fixed"},
        {"\"format\": \"ropewalk", "\"format\": \"nopewalk"},
        {"\"name\": \"data-0.h5\"", "\"name\": \"../../.h5\""},
        {"\"name\": \"index.h5\"", "\"name\": \"inDex.h5\""},
        {"\"name\": \"param/embedding\"", "\"name\": \"param/../bedding\""},
        {"\"name\": \"opt/m/embedding\"", "\"name\": \"zpt/m/embedding\""},
        {"\"shape\": [\n    16", "\"shape\": [\n    99"},
        {"\"shape\": [\n    16", "\"shape\": [\n    -1"},
        {"\"rows\": [\n      0", "\"rows\": [\n      1"},
        {"\"offset\": ", "\"offset\":9"},
        {"\"step\": 2", "\"step\":-2"},
        {"\"seed\": \"", "\"seed\": \"X"},
        {"\"tensors\"", "\"tensorS\""},
        {"\"config_hash\": \"", "\"config_hash\": \"0000"},
        {"\"digest\"", "\"digesT\""},
        {"\"kind\": \"letters\"", "\"kind\": \"letterS\""},
        {"\"kind\": \"letters\"", "\"kinD\": \"letters\""},
        {"\"alphabet\": \"ACGT\"", "\"alphabet\": \"ACG\" "},
        {"\"vocab\": 4", "\"vocab\": 5"},
        {"\"vocab\": 4", "\"vocab\":-4"},
        {"\"features\": 0", "\"features\": 1"},
        {"\"target_vocab\": 4", "\"target_vocab\": 0"},
        {"{\n", "[\n"},
    };
    state *s = *in;
    rw_checkpoint *checkpoint;
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        state_save(s, 2, 2);
        forge_manifest(s, forged[i].from, forged[i].to);
        rw_status status = rw_checkpoint_open(join(s->dir, "step-00000002"), &checkpoint);
        if (status == RW_OK) fail_msg("\"%s\" was believed", forged[i].to);
        expect_failure(status, "manifest.json");
    }
}

int main(int argc, char **argv)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, state_setup, state_teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_flipped_bit_is_found),       CASE(every_truncation_is_found),
        CASE(every_zeroed_block_is_found),      CASE(damage_is_traced_to_its_tensor),
        CASE(a_damaged_newest_is_passed_over),  CASE(a_newer_format_is_not_passed_over),
        CASE(impossible_manifests_are_refused),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests_name("damaged checkpoints", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
