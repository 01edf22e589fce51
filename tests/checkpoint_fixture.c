#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nftw */
#endif
#include "tests/checkpoint_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

static const rw_tensor shapes[STATE_TENSORS] = {
    {.name = "param/embedding", .dims = 2, .shape = {16, 3}},
    {.name = "param/blocks/0/kernel", .dims = 3, .shape = {2, 3, 5}},
    {.name = "param/blocks/0/filter", .dims = 4, .shape = {2, 1, 3, 2}},
    {.name = "param/scale", .dims = 1, .shape = {1}},
    {.name = "opt/m/embedding", .dims = 2, .shape = {16, 3}},
};

static size_t tensor_size(const rw_tensor *tensor)
{
    size_t size = 1;
    for (int d = 0; d < tensor->dims; d++) size *= tensor->shape[d];
    return size;
}

int state_setup(void **out)
{
    const char *above = getenv("TMPDIR");
    state *s = calloc(1, sizeof *s);
    rw_log_speak(false);
    s->memory_at_start = rw_memory_in_use();
    snprintf(s->root, sizeof s->root, "%.150s/ropewalk-checkpoint-XXXXXX", above ? above : "/tmp");
    if (!mkdtemp(s->root)) return -1;
    snprintf(s->dir, sizeof s->dir, "%s/run/checkpoints", s->root);
    if (rw_layout_alone(1, &s->layout) != RW_OK) return -1;
    memcpy(s->tensors, shapes, sizeof shapes);
    for (int i = 0; i < STATE_TENSORS; i++)
        s->tensors[i].data = malloc(tensor_size(&s->tensors[i]) * sizeof(real));
    *out = s;
    return 0;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *at)
{
    (void)about, (void)kind, (void)at;
    return remove(path);
}

int state_teardown(void **in)
{
    state *s = *in;
    for (int i = 0; i < STATE_TENSORS; i++) free(s->tensors[i].data);
    rw_layout_free(&s->layout);
    nftw(s->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    size_t leaked = rw_memory_in_use() - s->memory_at_start;
    if (leaked) fprintf(stderr, "%zu bytes leaked\n", leaked);
    free(s);
    rw_clear_message();
    return leaked ? -1 : 0;
}

static real value(uint64_t step, int tensor, size_t index)
{
    rw_random stream = rw_random_stream(step, RW_RANDOM_TEST, (uint64_t)tensor);
    return (real)rw_random_normal(stream, index);
}

void state_fill(state *s, uint64_t step)
{
    for (int i = 0; i < STATE_TENSORS; i++)
        for (size_t j = 0; j < tensor_size(&s->tensors[i]); j++)
            s->tensors[i].data[j] = value(step, i, j);
    s->meta = (rw_checkpoint_meta){
        .step = step,
        .seed = 0xfedcba9876543210,
        .sequences_seen = 8 * step,
        .skipped_steps = 1,
        .data_fingerprint = 0x0123456789abcdef,
        .dp = 1,
        .sp = 1,
        .threads = 1,
        .config = "model:\n  width: 3\n",
        .model = "tiny",
        .tokens = {.kind = "letters", .alphabet = "ACGT", .vocab = 4, .target_vocab = 4}};
}

void state_save(state *s, uint64_t step, int keep)
{
    state_fill(s, step);
    rw_status status =
        rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, keep);
    assert_string_equal(rw_message(), "");
    assert_int_equal(status, RW_OK);
}

void state_expect(state *s, const char *path, uint64_t step)
{
    rw_checkpoint *checkpoint;
    for (int i = 0; i < STATE_TENSORS; i++)
        memset(s->tensors[i].data, 0x5a, tensor_size(&s->tensors[i]) * sizeof(real));
    rw_status status = rw_checkpoint_open(path, &checkpoint);
    assert_string_equal(rw_message(), "");
    assert_int_equal(status, RW_OK);
    assert_int_equal(rw_checkpoint_about(checkpoint)->step, step);
    assert_int_equal(rw_checkpoint_count(checkpoint), STATE_TENSORS);
    assert_int_equal(rw_checkpoint_read(checkpoint, s->tensors, STATE_TENSORS), RW_OK);
    for (int i = 0; i < STATE_TENSORS; i++)
        for (size_t j = 0; j < tensor_size(&s->tensors[i]); j++) {
            real expected = value(step, i, j);
            assert_memory_equal(&s->tensors[i].data[j], &expected, sizeof expected);
        }
    rw_checkpoint_close(&checkpoint);
}

void state_expect_newest(state *s, uint64_t step)
{
    char *path;
    assert_int_equal(rw_checkpoint_find(&s->layout, s->dir, &path), RW_OK);
    assert_non_null(path);
    state_expect(s, path, step);
    rw_free(&path);
}

void expect_failure(rw_status status, const char *part)
{
    assert_int_not_equal(status, RW_OK);
    if (!strstr(rw_message(), part)) fail_msg("\"%s\" is not in \"%s\"", part, rw_message());
    rw_clear_message();
}

const char *join(const char *root, const char *name)
{
    static char paths[4][PATH_SIZE];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

unsigned char *file_contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    bytes[*size] = '\0';
    fclose(file);
    return bytes;
}

void file_put(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

int folder_count(const char *path, const char *part)
{
    int count = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && strstr(entry->d_name, part)) count++;
    if (folder) closedir(folder);
    return count;
}

int64_t hdf5_open_objects(void)
{
    static const H5I_type_t kinds[] = {H5I_FILE,    H5I_GROUP, H5I_DATASPACE,
                                       H5I_DATASET, H5I_ATTR,  H5I_GENPROP_LST};
    int64_t objects = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        hsize_t members = 0;
        H5Inmembers(kinds[i], &members);
        objects += (int64_t)members;
    }
    return objects;
}
