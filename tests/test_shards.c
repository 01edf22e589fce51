/* Optimizer state that is sharded over the ranks that this program is started
 * with: how it is cut and put together, what memory it takes, and that a
 * checkpoint of it is the checkpoint of the whole. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* open_memstream, mkdtemp, nftw */
#endif
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint.h"
#include "mpi/host_memory.h"
#include "mpi/shards.h"
#include "mpi_testing.h"
#include "testing.h"

static rw_layout layout;

static real value(size_t i)
{
    return (real)i / 7;
}

static void test_shards_cover_everything(void **unused)
{
    const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 4096};
    (void)unused;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int ranks = 1; ranks <= 9; ranks++) {
            long at = 0, least = (long)sizes[k], most = 0;
            for (int q = 0; q < ranks; q++) {
                rw_range r = rw_shard_of(sizes[k], ranks, q);
                assert_int_equal(r.begin, at);
                assert_true(r.begin % RW_SHARD_UNIT == 0 || r.begin == (long)sizes[k]);
                at = r.end;
                if (r.end - r.begin < least) least = r.end - r.begin;
                if (r.end - r.begin > most) most = r.end - r.begin;
            }
            assert_int_equal(at, sizes[k]);
            assert_true(most - least <= RW_SHARD_UNIT);
        }
}

static void test_all_gather(void **unused)
{
    const size_t sizes[] = {0, 5, 16, 100, 4096};
    (void)unused;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k];
        real *whole = test_alloc(n, sizeof(real));
        rw_range own = rw_shard_of(n, layout.size, layout.rank);
        for (long i = own.begin; i < own.end; i++) whole[i] = value((size_t)i);
        double before = rw_comm_count.bytes;
        rw_shards_all_gather(&layout, n, whole);
        bool good = true;
        for (size_t i = 0; i < n; i++) good = good && whole[i] == value(i);
        mpi_test_all(good, "all-gather of %zu reals", n);
        double sent = (double)rw_shards_bytes(&layout, n);
        mpi_test_all(rw_comm_count.bytes - before == sent, "bytes of an all-gather of %zu reals",
                     n);
        rw_free(&whole);
    }
}

/* ---- Memory ------------------------------------------------------------------ */

/* Bytes that an updater of the model takes on a rank of `ranks`; NULL: alone. */
static double bytes_of_updater(const rw_model *model, const rw_layout *ranks)
{
    rw_updater *updater;
    size_t before = rw_memory_in_use();
    test_updater_new(model, rw_optimizer_registry[0], "clip: 1", ranks, &updater);
    size_t bytes = rw_memory_in_use() - before;
    rw_updater_destroy(&updater);
    return (double)bytes;
}

static void test_moments_are_divided(void **unused)
{
    test_subject subject;
    rw_model *model;
    rw_layout many = layout;
    (void)unused;
    test_subjects(TEST_MIXERS, &subject, 1);
    test_ok(test_model_new(&subject, 32, &model));
    many.size = 1 << 30; /* of so many ranks the first has nothing: what is left is not moments */
    many.rank = 0;
    double lists = bytes_of_updater(model, &many);
    double whole = bytes_of_updater(model, NULL) - lists;
    double own = bytes_of_updater(model, &layout) - lists;
    mpi_test_all(whole >= 2 * sizeof(real) * (double)rw_model_parameters(model),
                 "two moments in %.0f bytes", whole);
    mpi_test_all(own <= whole / layout.size + 1024, "%.0f of %.0f bytes on one of %d ranks", own,
                 whole, layout.size);
    rw_model_destroy(&model);
}

/* ---- Checkpoints ------------------------------------------------------------- */

enum { TENSORS = 4, LONGEST = 96 * 33 };

/* The state that all ranks hold together: tensors of several ranks, one of a
 * single rank, one that each rank holds, in no order of names. */
typedef struct {
    rw_tensor tensors[TENSORS];
    real data[TENSORS][LONGEST];
} state;

static const rw_tensor shapes[TENSORS] = {
    {.name = "param/weight", .dims = 2, .shape = {96, 33}},
    {.name = "opt/v/weight", .dims = 2, .shape = {96, 33}},
    {.name = "opt/v/bias", .dims = 1, .shape = {5}},
    {.name = "opt/m/weight", .dims = 2, .shape = {96, 33}},
};

static size_t count_of(const rw_tensor *t)
{
    return t->shape[0] * (t->dims > 1 ? t->shape[1] : 1);
}

static real element(int tensor, size_t i)
{
    return (real)(1000 * tensor) + value(i);
}

/* This rank's part of tensor t: the bias is with the last rank. */
static rw_range part_of(int t, int ranks, int rank)
{
    size_t n = count_of(&shapes[t]);
    if (t == 2) return rank == ranks - 1 ? (rw_range){0, (long)n} : (rw_range){0, 0};
    return rw_shard_of(n, ranks, rank);
}

/* The state as one of `ranks` ranks holds it; `filled`, or to be read. */
static state *new_state(int ranks, int rank, bool filled)
{
    state *s = test_alloc(1, sizeof *s);
    for (int t = 0; t < TENSORS; t++) {
        rw_tensor *tensor = &s->tensors[t];
        *tensor = shapes[t];
        tensor->data = s->data[t];
        rw_range own = t ? part_of(t, ranks, rank) : (rw_range){0, (long)count_of(tensor)};
        tensor->begin = (size_t)own.begin;
        tensor->end = (size_t)own.end;
        tensor->sharded = own.end - own.begin < (long)count_of(tensor);
        for (long i = own.begin; filled && i < own.end; i++)
            tensor->data[i - own.begin] = element(t, (size_t)i);
    }
    return s;
}

static bool is_right(const state *s)
{
    for (int t = 0; t < TENSORS; t++) {
        const rw_tensor *tensor = &s->tensors[t];
        for (size_t i = tensor->begin; i < tensor->end; i++)
            if (tensor->data[i - tensor->begin] != element(t, i)) return false;
    }
    return true;
}

static const rw_checkpoint_meta meta = {
    .step = 3, .dp = 1, .sp = 1, .threads = 1, .config = "a: 1\n", .model = "tiny"};

/* The folder NAME within a temporary one of all ranks. */
static const char *folder(const char *name)
{
    static char root[64] = "/tmp/ropewalk-shards-XXXXXX", path[128];
    static bool made;
    if (!made && layout.rank == 0) assert_non_null(mkdtemp(root));
    if (!made) MPI_Bcast(root, sizeof root, MPI_CHAR, 0, MPI_COMM_WORLD);
    made = true;
    snprintf(path, sizeof path, "%s%s%s", root, *name ? "/" : "", name);
    return path;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *at)
{
    (void)about, (void)kind, (void)at;
    return remove(path);
}

static char *digest_of(const char *dir)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    test_ok(rw_checkpoint_digest(dir, out));
    fclose(out);
    return text;
}

/* What ranks save together is what one of them saves that has everything. */
static void test_saved_as_a_whole(void **unused)
{
    state *own = new_state(layout.size, layout.rank, true), *all = new_state(1, 0, true);
    (void)unused;
    test_ok(rw_checkpoint_save(&layout, folder("parts"), &meta, own->tensors, TENSORS, 2));
    bool same = true;
    if (layout.rank == 0) {
        rw_layout alone;
        test_ok(rw_layout_alone(1, &alone));
        test_ok(rw_checkpoint_save(&alone, folder("whole"), &meta, all->tensors, TENSORS, 2));
        rw_layout_free(&alone);
        char *got = digest_of(folder("parts")), *wanted = digest_of(folder("whole"));
        same = strcmp(got, wanted) == 0;
        free(got);
        free(wanted);
    }
    mpi_test_all(same, "digest of a checkpoint from %d ranks", layout.size);
    rw_free(&own);
    rw_free(&all);
}

/* Any number of ranks reads its parts of it. */
static void test_read_by_any_layout(void **unused)
{
    rw_checkpoint *checkpoint;
    (void)unused;
    for (int ranks = 1; ranks <= 5; ranks++)
        for (int rank = 0; rank < ranks; rank++) {
            state *s = new_state(ranks, rank, false);
            test_ok(rw_checkpoint_open(folder("parts"), &checkpoint));
            test_ok(rw_checkpoint_read(checkpoint, s->tensors, TENSORS));
            mpi_test_all(is_right(s), "rank %d of %d", rank, ranks);
            rw_checkpoint_close(&checkpoint);
            rw_free(&s);
        }
}

/* When rank 0 cannot write, all ranks learn it and none waits. */
static void test_failing_save(void **unused)
{
    state *own = new_state(layout.size, layout.rank, true);
    (void)unused;
    rw_clear_message();
    rw_status status =
        rw_checkpoint_save(&layout, "/dev/null/none", &meta, own->tensors, TENSORS, 2);
    mpi_test_all(status == RW_ERROR && *rw_message(), "a save that cannot be");
    rw_clear_message();
    for (long n = 1; n <= 3; n++) { /* no memory, first of all for the gathered tensor */
        rw_memory_fail_after(n);
        status = rw_checkpoint_save(&layout, folder("memory"), &meta, own->tensors, TENSORS, 2);
        rw_memory_fail_after(0);
        mpi_test_all(status == RW_ERROR && strstr(rw_message(), "out of memory"), "message: %s",
                     rw_message());
        rw_clear_message();
    }
    rw_free(&own);
}

/* Each rank has room for what it plans itself, all of them together have not. */
static void test_ranks_share_their_host(void **unused)
{
    enum { MIB = 1 << 20 };
    void *buffer = NULL;
    size_t bytes = layout.rank == 0 ? 3 * MIB : MIB, all = (size_t)(layout.size + 2) * MIB;
    (void)unused;
    size_t others = rw_memory_in_use() * (size_t)layout.size + 65536;
    test_ok(rw_alloc(bytes, 1, "a test", &buffer));
    rw_memory_set_limit(all + others);
    mpi_test_all(rw_host_memory_check(&layout) == RW_OK, "refused: %s", rw_message());
    rw_memory_set_limit(all - 1);
    mpi_test_all(rw_host_memory_check(&layout) == RW_ERROR, "more memory than there is");
    mpi_test_all(strstr(rw_message(), "out of memory: the ") != NULL, "%s", rw_message());
    rw_clear_message();
    rw_memory_set_limit(0);
    rw_free(&buffer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards_cover_everything), cmocka_unit_test(test_all_gather),
        cmocka_unit_test(test_moments_are_divided),     cmocka_unit_test(test_saved_as_a_whole),
        cmocka_unit_test(test_read_by_any_layout),      cmocka_unit_test(test_failing_save),
        cmocka_unit_test(test_ranks_share_their_host),
    };
    mpi_test_begin(&argc, &argv);
    test_ok(rw_layout_new(0, 0, 1, &layout));
    folder(""); /* the same on all ranks */
    int failed = cmocka_run_group_tests_name("shards", tests, NULL, NULL);
    if (layout.rank == 0) nftw(folder(""), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    rw_layout_free(&layout);
    MPI_Finalize();
    return failed;
}
